//! What is shown on a real API server, where no Pod ever starts.

use std::process::ExitCode;
use std::sync::OnceLock;

use anyhow::Result;
use anyhow::anyhow;
use tests::cluster::Cluster;
use tests::serving::Serving;
use tests::world::Suite;

mod beliefs;
mod guard;
mod mistakes;
mod templates;
mod untouched;

/// The webhook that all tests here share, registered twice: the second time everything is there.
static SERVING: OnceLock<Serving> = OnceLock::new();

fn main() -> ExitCode {
    Suite::new(tests::tests![
        beliefs::a_git_repo_volume_is_admitted_with_a_warning,
        beliefs::a_field_the_server_does_not_know_is_dropped_with_a_warning,
        mistakes::each_mistake_is_refused_in_one_sentence_with_key_value_and_accepted_form,
        mistakes::an_unknown_key_is_admitted_with_a_warning_that_names_the_nearest,
        templates::each_kind_tells_of_its_template_and_of_annotations_beside_it,
        templates::a_rollout_of_argos_is_told_like_a_deployment,
        templates::a_template_is_told_the_sentences_that_its_pods_would_be,
        templates::it_is_told_once_and_again_when_the_template_changes,
        templates::what_a_controller_makes_and_what_asks_for_nothing_is_not_sent,
        templates::without_the_webhook_a_workload_is_applied_all_the_same,
        untouched::a_pod_is_the_same_as_without_us_but_for_what_is_ours,
        untouched::twice_is_once_and_no_token_reaches_the_syncer,
        untouched::a_pod_that_asks_for_nothing_is_never_sent_to_us,
    ])
    .with_tests_alone(tests::tests![
        guard::each_row_of_the_truth_table_is_as_documented,
        guard::a_pod_of_an_excluded_namespace_is_left_alone,
        guard::what_ignore_lets_through_is_refused,
        guard::it_warns_where_it_is_told_to,
        guard::it_writes_to_the_audit_log_alone_where_it_is_told_to,
        guard::what_we_inject_passes_and_no_part_of_it_can_be_taken_away,
        guard::what_the_webhook_let_through_with_a_reason_passes,
        guard::git_repo_volumes_that_the_operator_leaves_to_the_kubelet_pass,
    ])
    .prepared_by(serve)
    .run_on_an_api_server()
}

fn serve(cluster: &Cluster) -> Result<()> {
    let serving = Serving::start(cluster.folder())?;
    serving.register(cluster, 2)?;
    SERVING.set(serving).map_err(|_| anyhow!("prepared twice"))
}
