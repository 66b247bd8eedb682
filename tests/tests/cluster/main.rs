//! What is shown on a real node: Pods start, read, follow, end.

use std::process::ExitCode;
use tests::images;
use tests::world::Suite;

mod node_itself;

fn main() -> ExitCode {
    Suite::new(tests::tests![
        node_itself::nginx_serves_a_page_under_its_pods_address,
        node_itself::a_native_sidecar_holds_the_app_back_until_its_probe_succeeds,
        node_itself::a_restricted_namespace_admits_a_restricted_pod,
        node_itself::a_service_is_reached_from_the_node_and_from_a_pod,
        node_itself::a_pod_reaches_the_api_server_with_its_service_accounts_files,
        node_itself::a_git_repo_volume_is_refused_by_the_kubelet,
    ])
    .with_image(images::busybox)
    .with_image(images::nginx)
    .run_on_a_node()
}
