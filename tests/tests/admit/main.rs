//! What is shown on a real API server, where no Pod ever starts: on the newest minor and on the
//! oldest one that is supported, as `newest::…` and `oldest::…`.

use std::process::ExitCode;
use std::sync::OnceLock;

use anyhow::Context;
use anyhow::Result;
use serde_json::json;
use tests::cluster::Cluster;
use tests::control_plane::ControlPlane;
use tests::control_plane::Version;
use tests::product;
use tests::serving::Serving;
use tests::serving::WEBHOOK;
use tests::world::Suite;
use tests::world::World;

mod beliefs;
mod cert_manager;
mod cost;
mod crds;
mod doctor;
mod gitrepo;
mod goldens;
mod guard;
mod mistakes;
mod objects;
mod others;
mod ranges;
mod records;
mod rotation;
mod templates;
mod toy;
mod untouched;
mod users;

/// A namespace with this label is none of the shared webhook's.
const UNASKED: &str = "gitvolume.test/unasked";
/// A namespace with this label is that of one webhook with settings of its own.
const SETTINGS: &str = "gitvolume.test/settings";
/// In a namespace with this label the shared webhook is asked twice: the second time everything is
/// there.
const TWICE: &str = "gitvolume.test/twice";

/// The webhook that all tests share, on both API servers.
static SERVING: OnceLock<Serving> = OnceLock::new();

fn main() -> ExitCode {
    Suite::new(tests::tests![
        beliefs::a_git_repo_volume_is_admitted_with_a_warning,
        beliefs::a_field_the_server_does_not_know_is_dropped_with_a_warning,
        beliefs::a_patch_that_does_not_apply_refuses_the_pod_even_under_ignore,
        beliefs::a_patch_whose_outcome_is_no_pod_refuses_it_even_under_ignore,
        beliefs::a_webhook_that_fails_is_ignored_where_the_policy_says_so,
        beliefs::a_patch_that_is_none_is_a_failed_call_on_new_servers_alone,
        beliefs::what_a_webhook_adds_gets_the_token_and_the_defaults_of_the_namespace,
        beliefs::a_condition_that_takes_annotations_for_granted_refuses_pods_without_any,
        beliefs::a_webhook_that_was_not_asked_at_first_is_not_asked_again,
        crds::what_is_right_is_taken_by_both,
        crds::what_is_wrong_is_refused_at_apply_in_the_words_of_the_annotation,
        crds::what_nobody_knows_is_refused_by_a_strict_apply_and_dropped_by_another,
        crds::objects_are_listed_with_what_they_say_and_whether_it_counts,
        doctor::each_trouble_is_found_and_nothing_where_all_is_well,
        gitrepo::a_git_repo_pod_passes_the_restricted_level_with_us_alone,
        gitrepo::each_mode_and_layout_passes_the_restricted_level,
        goldens::every_injected_pod_is_stored_as_its_golden_says,
        goldens::every_pod_left_alone_is_stored_as_its_golden_says,
        goldens::every_refusal_reaches_the_author_as_its_golden_says,
        goldens::every_warning_reaches_the_author_as_its_golden_says,
        goldens::the_pods_that_prove_nothing_here_are_refused_without_us,
        mistakes::each_mistake_is_refused_in_one_sentence_with_key_value_and_accepted_form,
        mistakes::an_unknown_key_is_admitted_with_a_warning_that_names_the_nearest,
        mistakes::where_mistakes_are_only_warned_of_the_pod_says_why_it_has_nothing,
        others::what_a_webhook_after_us_adds_does_not_double_us,
        others::a_repository_that_a_webhook_asks_for_after_us_is_refused_not_forgotten,
        others::a_git_repo_volume_that_a_webhook_adds_after_us_is_converted_too,
        others::what_a_webhook_before_us_asks_for_is_injected,
        others::a_policy_of_the_cluster_may_ask_for_a_repository,
        ranges::the_defaults_of_a_namespace_do_not_reach_us,
        ranges::a_minimum_above_ours_is_told_and_an_annotation_meets_it,
        ranges::a_maximum_below_our_limit_is_told_and_an_annotation_meets_it,
        ranges::a_ratio_that_the_pods_own_keep_is_kept_by_us,
        ranges::a_quota_of_limits_counts_ours_too,
        ranges::a_guaranteed_pod_stays_guaranteed,
        ranges::a_pod_with_resources_of_its_own_keeps_them_and_its_class,
        records::each_decision_is_in_the_audit_log_with_reason_and_configuration,
        records::a_dry_run_leaves_nothing_behind,
        records::pods_of_system_namespaces_are_left_alone,
        cert_manager::certificates_of_cert_managers_are_taken_over,
        rotation::no_call_fails_while_ca_and_certificates_are_rotated,
        rotation::a_ca_bundle_that_somebody_wipes_is_told_and_repaired,
        templates::each_kind_tells_of_its_template_and_of_annotations_beside_it,
        templates::a_rollout_of_argos_is_told_like_a_deployment,
        templates::a_template_is_told_the_sentences_that_its_pods_would_be,
        templates::it_is_told_once_and_again_when_the_template_changes,
        templates::what_a_controller_makes_and_what_asks_for_nothing_is_not_sent,
        templates::without_the_webhook_a_workload_is_applied_all_the_same,
        untouched::a_pod_is_the_same_as_without_us_but_for_what_is_ours,
        untouched::twice_is_once_and_no_token_reaches_the_syncer,
        untouched::a_pod_that_asks_for_nothing_is_never_sent_to_us,
        users::a_namespace_that_hands_out_users_decides_who_we_are,
    ])
    .with_tests_alone(tests::tests![
        cost::a_pod_with_very_many_annotations_costs_the_api_server_no_more_because_of_us,
        guard::each_row_of_the_truth_table_is_as_documented,
        guard::a_pod_of_an_excluded_namespace_is_left_alone,
        guard::what_ignore_lets_through_is_refused,
        guard::a_sidecar_that_a_webhook_after_us_has_spoilt_is_refused,
        guard::it_warns_where_it_is_told_to,
        guard::it_writes_to_the_audit_log_alone_where_it_is_told_to,
        guard::what_we_inject_passes_and_no_part_of_it_can_be_taken_away,
        guard::what_the_webhook_let_through_with_a_reason_passes,
        guard::git_repo_volumes_that_the_operator_leaves_to_the_kubelet_pass,
        // Each with a registration of its own, by which it judges all objects of the cluster.
        objects::an_object_reaches_the_pods_that_it_is_for_and_is_told_so,
        objects::what_a_webhook_after_us_adds_to_an_auto_injected_pod_is_seen,
        objects::a_pod_of_a_namespace_that_is_as_new_as_itself_gets_its_objects,
        objects::replicas_do_not_write_the_same_status_twice,
        objects::a_pod_whose_object_sets_its_mode_passes_the_guard,
        objects::an_api_server_that_restarts_changes_nothing_and_is_watched_again,
        objects::while_the_api_server_is_away_it_stays_ready_and_says_how_old_its_knowledge_is,
        objects::kinds_that_are_not_installed_are_said_and_found_when_they_are,
    ])
    .prepared_by(serve)
    .run_on_api_servers(Version::ALL)
}

/// Which API server a test runs on.
fn version(world: &World) -> Result<Version, String> {
    let plane = world.cluster().control_plane();
    plane
        .map(ControlPlane::version)
        .ok_or("no API server of our own".to_owned())
}

fn serve(cluster: &Cluster) -> Result<()> {
    if SERVING.get().is_none() {
        // Its folder is the first API server's, and both end together.
        let serving = Serving::start(&cluster.folder().join("webhook"))?;
        let _ = SERVING.set(serving);
    }
    register(cluster)
}

/// Registers the shared webhook, for all namespaces but those with labels of ours.
fn register(cluster: &Cluster) -> Result<()> {
    let serving = SERVING.get().context("no webhook")?;
    let shared = json!([{"key": UNASKED, "operator": "DoesNotExist"}]);
    let twice = json!([{"key": TWICE, "operator": "Exists"}]);
    let webhooks = [(WEBHOOK, shared), ("twice.gitvolume.dev", twice)];
    serving.register(cluster, product::RELEASE, &webhooks, &[])
}
