//! What is shown on a real API server, where no Pod ever starts.

use std::process::ExitCode;
use std::sync::OnceLock;

use anyhow::Result;
use anyhow::anyhow;
use tests::cluster::Cluster;
use tests::serving::Serving;
use tests::world::Suite;

mod beliefs;
mod mistakes;
mod untouched;

/// The webhook that all tests here share, registered twice: the second time everything is there.
static SERVING: OnceLock<Serving> = OnceLock::new();

fn main() -> ExitCode {
    Suite::new(tests::tests![
        beliefs::a_git_repo_volume_is_admitted_with_a_warning,
        beliefs::a_field_the_server_does_not_know_is_dropped_with_a_warning,
        mistakes::each_mistake_is_refused_in_one_sentence_with_key_value_and_accepted_form,
        mistakes::an_unknown_key_is_admitted_with_a_warning_that_names_the_nearest,
        untouched::a_pod_is_the_same_as_without_us_but_for_what_is_ours,
        untouched::twice_is_once_and_no_token_reaches_the_syncer,
        untouched::a_pod_without_our_annotations_is_never_sent_to_us,
    ])
    .prepared_by(serve)
    .run_on_an_api_server()
}

fn serve(cluster: &Cluster) -> Result<()> {
    let serving = Serving::start(cluster.folder())?;
    serving.register(cluster, 2)?;
    SERVING.set(serving).map_err(|_| anyhow!("prepared twice"))
}
