//! Tests on a real API server without a node, so no Pod ever starts: on the newest minor and on the
//! oldest supported one, as `newest::…` and `oldest::…`.

use crate::shared::serve;
use std::process::ExitCode;

use tests::installation::world::Suite;
use tests::kubernetes::control_plane::Version;

mod beliefs;
mod cert_manager;
mod cost;
mod crds;
mod doctor;
mod examples;
mod gitrepo;
mod goldens;
mod guard;
mod mistakes;
mod objects;
mod others;
mod ranges;
mod records;
mod rotation;
mod shared;
mod templates;
mod toy;
mod untouched;
mod users;

fn main() -> ExitCode {
    Suite::new(tests::tests![
        beliefs::a_git_repo_volume_is_admitted_with_a_warning,
        beliefs::a_field_the_server_does_not_know_is_dropped_with_a_warning,
        beliefs::a_patch_that_does_not_apply_refuses_the_pod_even_under_ignore,
        beliefs::a_patch_whose_outcome_is_no_pod_refuses_it_even_under_ignore,
        beliefs::a_failed_webhook_call_is_ignored_under_failure_policy_ignore,
        beliefs::a_malformed_patch_is_a_failed_call_only_on_new_servers,
        beliefs::a_container_that_a_webhook_adds_gets_the_token_and_the_namespaces_defaults,
        beliefs::a_match_condition_that_requires_annotations_refuses_pods_without_any,
        beliefs::a_webhook_that_was_not_called_at_first_is_not_reinvoked,
        crds::valid_objects_are_accepted_by_api_server_and_webhook,
        crds::invalid_objects_are_refused_at_apply_with_the_message_of_the_annotation,
        crds::unknown_fields_are_refused_by_a_strict_apply_and_dropped_otherwise,
        crds::kubectl_get_lists_the_settings_and_the_condition_of_objects,
        crds::both_versions_serve_the_same_objects_and_one_is_stored,
        doctor::each_problem_is_found_and_a_healthy_installation_has_no_findings,
        examples::every_example_is_admitted_and_its_pods_are_injected,
        gitrepo::a_bare_pod_is_applied_again_once_it_is_converted,
        gitrepo::a_git_repo_pod_passes_the_restricted_level_only_with_the_webhook,
        gitrepo::each_mode_and_layout_passes_the_restricted_level,
        goldens::every_injected_pod_is_stored_as_its_golden_says,
        goldens::every_skipped_pod_is_stored_as_its_golden_says,
        goldens::every_refusal_reaches_the_author_as_its_golden_says,
        goldens::every_warning_reaches_the_author_as_its_golden_says,
        goldens::the_omitted_golden_pods_are_refused_without_the_webhook,
        mistakes::each_mistake_is_refused_in_one_sentence_with_key_value_and_accepted_form,
        mistakes::an_unknown_key_is_admitted_with_a_warning_that_names_the_nearest,
        mistakes::with_on_mistake_warn_the_pod_records_why_it_has_no_repository,
        others::additions_of_a_later_webhook_do_not_cause_a_second_injection,
        others::a_repository_that_a_later_webhook_requests_is_refused_and_not_ignored,
        others::a_git_repo_volume_that_a_later_webhook_adds_is_converted_too,
        others::a_repository_that_an_earlier_webhook_requests_is_injected,
        others::a_mutating_admission_policy_can_request_a_repository,
        ranges::the_defaults_of_a_limit_range_do_not_apply_to_our_containers,
        ranges::a_minimum_above_our_request_is_reported_and_an_annotation_satisfies_it,
        ranges::a_maximum_below_our_limit_is_reported_and_an_annotation_satisfies_it,
        ranges::our_containers_keep_a_maximum_ratio_that_the_pods_containers_keep,
        ranges::an_offline_injection_beside_a_limit_range_equals_the_clusters,
        ranges::a_quota_of_limits_counts_our_containers_too,
        ranges::a_guaranteed_pod_stays_guaranteed,
        ranges::a_pod_with_pod_level_resources_keeps_them_and_its_qos_class,
        records::each_decision_is_in_the_audit_log_with_reason_and_configuration,
        records::a_dry_run_leaves_nothing_behind,
        records::pods_of_system_namespaces_are_never_injected,
        cert_manager::certificates_of_cert_manager_are_loaded_and_reloaded,
        rotation::no_call_fails_while_ca_and_certificates_are_rotated,
        rotation::a_removed_ca_bundle_is_reported_and_repaired,
        templates::each_kind_warns_about_its_template_and_about_misplaced_annotations,
        templates::an_argo_rollout_gets_the_same_warnings_as_a_deployment,
        templates::a_template_gets_the_error_sentences_of_its_pods_as_warnings,
        templates::warnings_are_repeated_only_when_the_template_changes,
        templates::objects_of_controllers_and_objects_without_annotations_are_not_sent,
        templates::without_the_webhook_a_workload_is_still_applied,
        untouched::a_pod_is_the_same_as_without_the_webhook_except_for_its_additions,
        untouched::injecting_twice_equals_injecting_once_and_no_token_reaches_the_syncer,
        untouched::a_pod_that_requests_nothing_is_never_sent_to_the_webhook,
        users::a_namespaces_uid_range_decides_the_user_of_our_containers,
    ])
    .with_tests_alone(tests::tests![
        cost::a_pod_with_very_many_annotations_costs_the_api_server_no_more_because_of_us,
        guard::each_row_of_the_truth_table_is_as_documented,
        guard::a_pod_of_an_excluded_namespace_is_ignored,
        guard::the_guard_refuses_what_failure_policy_ignore_admits,
        guard::a_sidecar_that_a_later_webhook_has_damaged_is_refused,
        guard::with_actions_warn_and_audit_the_guard_admits_and_warns,
        guard::with_action_audit_the_guard_only_writes_to_the_audit_log,
        guard::every_injected_pod_passes_and_removing_any_part_is_detected,
        guard::pods_that_the_webhook_skipped_with_a_reason_pass,
        guard::git_repo_volumes_that_the_operator_leaves_to_the_kubelet_pass,
        // Each with its own registration, by which it evaluates all objects of the cluster.
        objects::an_object_applies_to_matching_pods_and_its_status_reports_it,
        objects::additions_of_a_later_webhook_to_an_auto_injected_pod_are_processed,
        objects::a_pod_created_together_with_its_namespace_gets_the_objects,
        objects::replicas_do_not_write_the_same_status_twice,
        objects::a_pod_whose_object_sets_its_mode_passes_the_guard,
        objects::after_a_restart_of_the_api_server_the_watch_resumes_and_nothing_changes,
        objects::while_the_api_server_is_down_the_webhook_stays_ready_and_reports_the_age_of_its_cache,
        objects::missing_crds_are_reported_and_used_once_installed,
    ])
    .prepared_by(serve)
    .run_on_api_servers(Version::ALL)
}
