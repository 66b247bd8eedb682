//! The commands that `helm install` prints for the user.

use std::process::Command;

use tests::installation::git_host::GitHost;
use tests::installation::product;
use tests::installation::product::NAMESPACE;
use tests::installation::product::RELEASE;
use tests::installation::world::TestResult;
use tests::installation::world::World;
use tests::oci::images::NGINX;
use tests::settings;

pub(crate) fn the_commands_of_the_charts_notes_show_a_file_of_the_repository(
    world: &World,
) -> TestResult {
    let namespace = world.namespace(&[])?;
    let host = GitHost::start(&namespace)?;
    let site = host.repository("hello")?;
    site.commit(&[("README", "Hello from the tests!\n")])?;

    let kubeconfig = format!("--kubeconfig={}", world.kubectl().kubeconfig().display());
    let of_release = format!("--namespace={NAMESPACE}");
    let notes = ["get", "notes", RELEASE, &of_release, &kubeconfig];
    let notes = product::helm(world.cluster(), &notes)?;
    let commands = notes.lines().filter_map(|line| line.strip_prefix("  "));
    let commands: Vec<&str> = commands
        .filter(|line| line.starts_with("kubectl "))
        .collect();
    assert_eq!(commands.len(), 3, "{notes}");
    let mut script = commands.join("\n");
    // The test reaches neither address.
    for (theirs, ours) in [
        ("--image=nginx ", format!("--image={NGINX} ")),
        ("https://github.com/octocat/Hello-World", site.http()),
    ] {
        assert!(script.contains(theirs), "{script}");
        script = script.replace(theirs, &ours);
    }

    // As a user would: without a namespace, so the kubeconfig's applies.
    let dir = tempfile::tempdir()?;
    let kubeconfig = dir.path().join("kubeconfig");
    std::fs::copy(world.kubectl().kubeconfig(), &kubeconfig)?;
    let own = format!(
        "kubectl config set-context --current --namespace={}",
        namespace.name()
    );
    let output = Command::new("sh")
        .args(["-e", "-c"])
        .arg(format!(
            "PATH={}:$PATH\n{own} >&2\n{script}",
            settings::tools().display()
        ))
        .env("KUBECONFIG", &kubeconfig)
        .output()?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{script}\n{printed}{complaint}");
    assert!(
        printed.ends_with("Hello from the tests!\n"),
        "{printed}{complaint}"
    );
    Ok(())
}
