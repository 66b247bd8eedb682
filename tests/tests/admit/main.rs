//! What is shown on a real API server, where no Pod ever starts.

use std::process::ExitCode;
use tests::world::Suite;

mod beliefs;

fn main() -> ExitCode {
    Suite::new(tests::tests![
        beliefs::a_git_repo_volume_is_admitted_with_a_warning,
        beliefs::a_field_the_server_does_not_know_is_dropped_with_a_warning,
    ])
    .run_on_an_api_server()
}
