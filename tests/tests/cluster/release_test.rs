//! `helm test` against the installed release.

use tests::installation::git_host::GitHost;
use tests::installation::product;
use tests::installation::world::TestResult;
use tests::installation::world::World;

/// It fetches a repository of the value `test.repo`, and fails while no webhook answers.
pub(crate) fn helm_test_succeeds_only_if_its_pod_is_injected(world: &World) -> TestResult {
    let namespace = world.namespace(&[])?;
    let host = GitHost::start(&namespace)?;
    let site = host.repository("site")?;
    site.commit(&[("a-file-of-the-repository", "content\n")])?;
    let cluster = world.cluster();
    product::upgrade(cluster, &[&format!("--set=test.repo={}", site.http())])?;
    let kubeconfig = format!("--kubeconfig={}", world.kubectl().kubeconfig().display());
    let in_namespace = format!("--namespace={}", product::NAMESPACE);
    let test = || {
        let args = [
            "test",
            product::RELEASE,
            "--timeout=2m",
            &in_namespace,
            &kubeconfig,
        ];
        product::helm(cluster, &args).map_err(|error| format!("{error:#}"))
    };
    let passed = test();
    product::scale(world.kubectl(), 0)?;
    let refused = test();
    product::scale(world.kubectl(), 2)?;
    product::upgrade(cluster, &[])?;

    let printed = passed?;
    assert!(printed.contains("Succeeded"), "{printed}");
    match refused {
        Ok(printed) => Err(format!("without a webhook: {printed}").into()),
        Err(refusal) => {
            assert!(refusal.contains("gitvolume.dev"), "{refusal}");
            Ok(())
        }
    }
}
