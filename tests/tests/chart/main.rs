//! The chart on real API servers: accepted, installed, upgraded, uninstalled.

use std::process::ExitCode;

use tests::installation::world::Suite;
use tests::kubernetes::control_plane::Version;

mod monitored;
mod optional;
mod promql;
mod release;
mod rights;
mod running;
mod server;

fn main() -> ExitCode {
    Suite::new(tests::tests![
        monitored::each_part_of_each_expression_selects_a_metric,
        server::each_object_of_each_set_is_accepted_strictly_and_without_a_warning,
        server::our_own_pods_pass_the_restricted_level,
    ])
    .with_tests_alone(tests::tests![
        release::uninstalling_leaves_nothing_and_blocks_no_pod,
        release::upgrades_diffs_and_gitops_keep_the_ca_bundle,
        release::an_upgrade_succeeds_after_a_platform_has_edited_a_selector,
        release::a_gitops_installation_does_not_own_the_ca_bundle,
        release::a_tenant_installs_the_cache_alone_and_upgrades_keep_the_key_of_wake_ups,
        release::the_issued_certificate_of_the_cache_is_valid_for_each_address_of_it,
        rights::each_right_is_used_and_no_other_request_is_made,
        server::our_own_pods_and_those_of_kube_system_start_without_us,
    ])
    .prepared_by(server::install_other_projects_kinds)
    .run_on_api_servers(Version::ALL)
}
