//! Tests on a real node: Pods start, read, follow the remote, and end.

use std::process::ExitCode;

use tests::installation::product;
use tests::installation::world::Suite;
use tests::oci::images;

mod app;
mod atomic;
mod availability;
mod cache;
mod certificates;
mod cut_off;
mod examples;
mod field;
mod gitrepo;
mod jobs;
mod main_job;
mod node_itself;
mod notes;
mod objects;
mod outage;
mod push;
mod readers;
mod release_test;
mod replicas;
mod scope;
mod secrets;
mod startup;
mod status;
mod users;

fn main() -> ExitCode {
    Suite::new(tests::tests![
        main_job::an_annotated_pod_has_its_files_before_it_starts_and_follows_the_branch,
        outage::the_last_revision_is_served_while_the_remote_is_unreachable_for_a_minute,
        atomic::readers_of_the_projected_layout_never_see_an_incomplete_revision,
        atomic::readers_of_the_link_layout_never_see_an_incomplete_revision,
        outage::a_syncer_killed_three_times_continues_from_a_complete_tree,
        users::https_and_ssh_sync_under_uid_101_and_under_a_random_uid,
        users::a_syncer_killed_while_the_remote_is_down_is_ready_again_in_seconds,
        secrets::ssh_works_with_the_right_keys_and_reports_which_one_is_wrong,
        secrets::http_uses_the_secrets_password_and_never_shows_it,
        jobs::a_job_completes_with_the_sidecar_and_with_mode_once,
        readers::opa_sees_all_policies_with_the_files_layout_and_reloads_them_on_a_commit,
        readers::hugo_builds_a_site_from_a_mount_with_mode_once,
        readers::find_lists_the_files_of_a_mount_with_mode_once_as_git_does,
        examples::the_examples_with_nginx_serve_a_changed_commit,
        examples::the_example_of_haproxy_reloads_a_valid_configuration_and_keeps_it,
        examples::the_example_of_prometheus_loads_a_changed_rule_and_keeps_it,
        examples::the_pod_of_the_first_steps_shows_a_changed_page,
        field::a_v2_manifest_without_known_hosts_reports_the_remedies_and_runs_with_either,
        field::a_v3_manifest_with_one_dash_flags_serves_pages_through_nginx,
        field::a_v3_manifests_app_reads_the_changes_from_git_at_each_webhook_call,
        field::a_v4_manifest_with_each_setting_under_both_names_runs,
        gitrepo::the_documentations_git_repo_pod_and_its_variants_run,
        gitrepo::a_private_and_a_followed_volume_run_under_the_restricted_level,
        notes::the_commands_of_the_charts_notes_show_a_file_of_the_repository,
        objects::an_auto_injected_pod_has_its_namespaces_repository_and_the_doctor_finds_nothing,
        scope::a_namespace_under_the_restricted_level_admits_and_runs_it,
        status::wait_ends_when_every_pod_has_published_a_pushed_commit,
        status::the_documented_role_suffices_and_a_missing_one_is_named,
        node_itself::nginx_serves_a_page_under_its_pods_address,
        node_itself::a_native_sidecar_holds_the_app_back_until_its_probe_succeeds,
        node_itself::a_restricted_namespace_admits_a_restricted_pod,
        node_itself::a_service_is_reached_from_the_node_and_from_a_pod,
        node_itself::a_pod_reaches_the_api_server_with_its_service_accounts_files,
        node_itself::a_git_repo_volume_is_refused_by_the_kubelet,
    ])
    .with_tests_alone(tests::tests![
        cache::pods_follow_through_the_cache_and_continue_without_it,
        startup::a_pod_with_a_repository_becomes_ready_and_the_time_is_printed,
        certificates::a_removed_ca_bundle_is_written_again,
        certificates::no_admission_fails_while_ca_and_certificates_are_rotated,
        certificates::no_admission_fails_while_the_kubelet_replaces_a_mounted_certificate,
        availability::no_admission_fails_while_replicas_restart_are_upgraded_and_are_scaled,
        availability::after_a_replica_is_killed_admissions_fail_with_a_message_for_at_most_five_seconds,
        availability::no_admission_fails_while_kube_proxy_still_routes_to_terminating_replicas,
        cut_off::admissions_succeed_after_the_api_server_restarts,
        cut_off::the_webhook_responds_while_etcd_is_suspended_and_admissions_succeed_afterwards,
        cut_off::replicas_without_a_watch_serve_the_last_known_objects_and_report_their_age,
        push::twenty_pods_serve_a_push_to_a_forge_after_one_fetch,
        release_test::helm_test_succeeds_only_if_its_pod_is_injected,
        availability::an_uninstalled_product_blocks_no_pod_and_leaves_nothing,
        scope::without_the_webhook_other_pods_start_and_annotated_ones_are_refused_by_name,
    ])
    .with_image(images::busybox)
    .with_image(images::nginx)
    .with_image(images::opa)
    .with_image(images::hugo)
    .with_image(images::haproxy)
    .with_image(images::prometheus)
    .with_image(images::gitea)
    .with_image(images::git_server)
    .with_image(images::syncer)
    .with_image(images::webhook)
    .with_image(images::webhook_next)
    .prepared_by(product::install)
    .run_on_a_node()
}
