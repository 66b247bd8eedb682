//! What is shown on a real node: Pods start, read, follow, end.

use std::process::ExitCode;

use tests::images;
use tests::product;
use tests::world::Suite;

mod app;
mod atomic;
mod availability;
mod certificates;
mod cut_off;
mod field;
mod gitrepo;
mod jobs;
mod main_job;
mod node_itself;
mod notes;
mod objects;
mod outage;
mod replicas;
mod scope;
mod secrets;
mod users;

fn main() -> ExitCode {
    Suite::new(tests::tests![
        main_job::an_annotated_pod_has_its_files_before_it_starts_and_follows_the_branch,
        outage::the_last_revision_is_served_while_the_remote_is_away_for_a_minute,
        atomic::readers_of_the_projected_layout_never_see_half_a_revision,
        atomic::readers_of_the_link_layout_never_see_half_a_revision,
        outage::a_syncer_killed_three_times_goes_on_from_a_whole_tree,
        users::https_and_ssh_sync_under_uid_101_and_under_a_random_uid,
        users::a_syncer_killed_while_the_remote_is_down_is_ready_again_in_seconds,
        secrets::ssh_works_with_the_right_keys_and_says_which_one_is_wrong,
        secrets::http_takes_the_secrets_password_and_shows_it_nowhere,
        jobs::a_job_with_the_sidecar_completes_and_mode_once_leaves_none,
        field::a_v2_manifest_without_known_hosts_is_told_what_to_add_and_runs_with_either,
        field::a_v3_manifest_with_one_dash_flags_serves_pages_through_nginx,
        field::a_v3_manifests_neighbour_asks_git_what_changed_at_each_webhook_call,
        field::a_v4_manifest_with_each_setting_under_both_names_runs,
        gitrepo::the_documentations_pod_runs_and_so_do_its_relatives,
        gitrepo::a_private_and_a_followed_volume_run_under_the_restricted_level,
        notes::the_commands_of_the_charts_notes_show_a_file_of_the_repository,
        objects::a_pod_that_asks_for_nothing_has_its_namespaces_repository_and_the_doctor_is_content,
        scope::a_namespace_under_the_restricted_level_admits_and_runs_it,
        node_itself::nginx_serves_a_page_under_its_pods_address,
        node_itself::a_native_sidecar_holds_the_app_back_until_its_probe_succeeds,
        node_itself::a_restricted_namespace_admits_a_restricted_pod,
        node_itself::a_service_is_reached_from_the_node_and_from_a_pod,
        node_itself::a_pod_reaches_the_api_server_with_its_service_accounts_files,
        node_itself::a_git_repo_volume_is_refused_by_the_kubelet,
    ])
    .with_tests_alone(tests::tests![
        certificates::a_ca_bundle_that_somebody_wiped_is_written_again,
        certificates::no_admission_fails_while_ca_and_certificates_are_rotated,
        certificates::a_mounted_certificate_is_exchanged_by_the_kubelet_and_no_admission_fails,
        availability::no_admission_fails_while_replicas_restart_are_upgraded_and_are_scaled,
        availability::after_a_replica_is_killed_admissions_fail_in_words_for_five_seconds_at_most,
        availability::a_proxy_that_is_slow_to_forget_replicas_costs_no_admission,
        cut_off::an_api_server_that_restarts_finds_the_webhook_where_it_was,
        cut_off::while_etcd_is_silent_the_webhook_answers_and_afterwards_so_does_everything,
        cut_off::replicas_whose_watch_is_cut_serve_what_they_knew_and_say_how_old_it_is,
        availability::an_uninstalled_product_blocks_no_pod_and_leaves_nothing,
        scope::without_the_webhook_other_pods_start_and_annotated_ones_are_refused_by_name,
    ])
    .with_image(images::busybox)
    .with_image(images::nginx)
    .with_image(images::git_server)
    .with_image(images::syncer)
    .with_image(images::webhook)
    .with_image(images::webhook_next)
    .prepared_by(product::install)
    .run_on_a_node()
}
