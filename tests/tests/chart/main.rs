//! The chart, as helm renders it and real API servers read it.

use std::process::ExitCode;

use tests::control_plane::Version;
use tests::world::Suite;

mod documented;
mod fields;
mod golden;
mod monitored;
mod promises;
mod promql;
mod release;
mod rendered;
mod rights;
mod running;
mod schema;
mod server;
mod sets;

fn main() -> ExitCode {
    Suite::new(tests::tests![
        monitored::each_part_of_each_expression_finds_something,
        server::each_object_of_each_set_is_accepted_strictly_and_without_a_warning,
        server::our_own_pods_pass_the_restricted_level,
    ])
    .with_tests_alone(tests::tests![
        release::uninstalling_leaves_nothing_and_blocks_no_pod,
        release::upgrades_diffs_and_gitops_leave_the_ca_bundle_alone,
        release::an_upgrade_gets_on_where_a_platform_has_edited_a_selector,
        release::where_gitops_installs_alone_it_owns_no_ca_bundle,
        rights::each_right_is_used_and_nothing_else_is_asked_for,
        server::our_own_pods_and_those_of_kube_system_start_without_us,
    ])
    .with_tests_without_a_cluster(tests::plain_tests![
        documented::each_value_has_a_comment,
        documented::the_readme_has_each_value_and_each_alert,
        documented::the_schema_describes_each_value_as_its_comment_does,
        fields::each_entry_of_the_registration_can_be_switched_off_but_the_first,
        fields::each_value_of_the_certificates_reaches_its_field,
        fields::each_value_of_the_chart_is_in_one_of_the_tables,
        fields::each_value_of_the_deployment_reaches_its_field,
        fields::each_value_of_the_monitoring_reaches_its_field,
        fields::each_value_of_the_network_reaches_its_field,
        fields::each_value_of_the_other_objects_reaches_its_field,
        fields::each_value_of_the_registration_reaches_its_field,
        fields::each_value_that_the_webhook_is_told_is_an_argument,
        fields::objects_come_and_go_with_their_switches,
        promises::every_object_carries_the_labels_of_the_release,
        promises::helm_finds_nothing_to_complain_of_in_any_set,
        promises::namespaces_are_watched_where_they_hand_out_users_and_the_right_comes_with_it,
        promises::no_entry_is_about_our_own_pods_or_kube_system,
        promises::other_settings_are_no_other_pods,
        promises::templates_are_only_looked_at,
        promises::the_ca_bundle_is_left_to_whoever_writes_it,
        promises::the_default_values_render_to_the_golden,
        promises::the_pods_are_restricted_and_have_no_user_where_the_namespace_gives_one,
        promises::the_rights_are_by_name_wherever_rbac_can_name,
        promises::the_settings_reach_the_webhook_as_it_reads_them,
        promises::there_is_no_hook_and_no_image_but_ours,
        schema::a_typo_or_a_wrong_value_is_refused_by_its_name,
        schema::no_map_of_the_chart_s_own_takes_an_unknown_key,
    ])
    .prepared_by(server::install_other_projects_kinds)
    .run_on_api_servers(Version::ALL)
}
