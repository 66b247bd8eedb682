use std::fmt::Display;
use std::path::Path;
use std::sync::LazyLock;

use clap::ValueEnum;

use crate::ProcessArgs;
use crate::RepoArgs;
use crate::SyncArgs;

/// What needs no flag. Made once: an injection writes an argv for each Pod.
static USUAL: LazyLock<(ProcessArgs, RepoArgs)> = LazyLock::new(Default::default);

impl SyncArgs {
    /// The inverse of parsing: an argv (without the program) that parses to these arguments.
    ///
    /// What decides the result most is always written, defaults too, so that an environment
    /// variable of the Pod's own cannot change it; of the rest, what is not the default. For a
    /// container's `args` wrap each in [`crate::escape_for_kubelet`]. What is the environment's alone,
    /// passwords above all, is not written: it has no place in an argv.
    pub fn to_argv(&self) -> Vec<String> {
        // Taken apart without `..`: a new flag that is not written here does not compile.
        let Self { process, repo } = self;
        let ProcessArgs {
            config,
            config_inline: _,
            git,
            no_poller,
            max_git_processes,
            group_write,
            add_user,
            sync_on_signal,
            http_bind,
            http_metrics,
            http_pprof,
            verbose,
        } = process;
        let RepoArgs {
            repo: url,
            rev,
            root,
            link,
            layout,
            subdir,
            state,
            secret_dir,
            depth,
            filter,
            submodules,
            sparse_checkout_file,
            sparse_checkout,
            period,
            init_period,
            sync_timeout,
            one_time,
            max_failures,
            init_max_failures,
            stale_worktree_timeout,
            stale_after,
            error_file,
            touch_file,
            exechook_command,
            exechook_timeout,
            exechook_backoff,
            pre_publish_exechook_command,
            pre_publish_exechook_timeout,
            pre_publish_exechook_backoff,
            webhook_url,
            webhook_method,
            webhook_success_status,
            webhook_timeout,
            webhook_backoff,
            username,
            password: _,
            password_file,
            credential,
            ssh_key_file,
            ssh_known_hosts,
            ssh_known_hosts_file,
            default_known_hosts: _,
            ca_bundle: _,
            cookie_file,
            askpass_url,
            github_base_url,
            github_app_client_id,
            github_app_application_id,
            github_app_installation_id,
            github_app_private_key: _,
            github_app_private_key_file,
            git_config,
            git_config_add,
            git_gc,
        } = repo;
        let mut argv = Argv::default();
        let usual = &*USUAL;
        argv.some("repo", url.as_ref().map(|url| url.reveal()));
        argv.some("ref", Some(rev));
        argv.path("root", root.as_deref());
        argv.some("link", link.as_ref());
        argv.some("layout", choice(layout));
        argv.some("subdir", subdir.as_ref());
        argv.path("state", state.as_deref());
        argv.path("secret-dir", secret_dir.as_deref());
        argv.some("depth", Some(depth));
        argv.some("period", Some(period));
        argv.some("one-time", Some(one_time));
        argv.some("max-failures", Some(max_failures));
        argv.some("sync-timeout", Some(sync_timeout));
        argv.some("stale-worktree-timeout", Some(stale_worktree_timeout));
        argv.path("config", config.as_deref());
        argv.unusual("git", git, &usual.0.git);
        argv.unusual("no-poller", no_poller, &usual.0.no_poller);
        argv.unusual(
            "max-git-processes",
            max_git_processes,
            &usual.0.max_git_processes,
        );
        argv.unusual("group-write", group_write, &usual.0.group_write);
        argv.unusual("add-user", add_user, &usual.0.add_user);
        argv.some("sync-on-signal", sync_on_signal.as_ref());
        argv.some("http-bind", http_bind.as_ref());
        argv.unusual("http-metrics", http_metrics, &usual.0.http_metrics);
        argv.unusual("http-pprof", http_pprof, &usual.0.http_pprof);
        argv.some("verbose", Some(verbose));
        argv.some("filter", filter.as_ref());
        argv.some(
            "submodules",
            choice(submodules).filter(|_| *submodules != usual.1.submodules),
        );
        argv.path("sparse-checkout-file", sparse_checkout_file.as_deref());
        argv.some("sparse-checkout", sparse_checkout.as_ref());
        argv.some("init-period", init_period.as_ref());
        argv.some("init-max-failures", init_max_failures.as_ref());
        argv.unusual("stale-after", stale_after, &usual.1.stale_after);
        argv.path("error-file", error_file.as_deref());
        argv.path("touch-file", touch_file.as_deref());
        argv.path("exechook-command", exechook_command.as_deref());
        argv.unusual(
            "exechook-timeout",
            exechook_timeout,
            &usual.1.exechook_timeout,
        );
        argv.unusual(
            "exechook-backoff",
            exechook_backoff,
            &usual.1.exechook_backoff,
        );
        argv.path(
            "pre-publish-exechook-command",
            pre_publish_exechook_command.as_deref(),
        );
        argv.unusual(
            "pre-publish-exechook-timeout",
            pre_publish_exechook_timeout,
            &usual.1.pre_publish_exechook_timeout,
        );
        argv.unusual(
            "pre-publish-exechook-backoff",
            pre_publish_exechook_backoff,
            &usual.1.pre_publish_exechook_backoff,
        );
        argv.some("webhook-url", webhook_url.as_ref());
        argv.unusual("webhook-method", webhook_method, &usual.1.webhook_method);
        argv.unusual(
            "webhook-success-status",
            webhook_success_status,
            &usual.1.webhook_success_status,
        );
        argv.unusual("webhook-timeout", webhook_timeout, &usual.1.webhook_timeout);
        argv.unusual("webhook-backoff", webhook_backoff, &usual.1.webhook_backoff);
        argv.some("username", username.as_ref());
        argv.path("password-file", password_file.as_deref());
        for credential in credential {
            argv.some("credential", Some(credential.reveal()));
        }
        if *ssh_key_file != usual.1.ssh_key_file {
            for path in ssh_key_file {
                argv.path("ssh-key-file", Some(path));
            }
        }
        argv.unusual("ssh-known-hosts", ssh_known_hosts, &usual.1.ssh_known_hosts);
        argv.path(
            "ssh-known-hosts-file",
            Some(ssh_known_hosts_file.as_path())
                .filter(|path| *path != usual.1.ssh_known_hosts_file),
        );
        argv.unusual("cookie-file", cookie_file, &usual.1.cookie_file);
        argv.some("askpass-url", askpass_url.as_ref());
        argv.unusual("github-base-url", github_base_url, &usual.1.github_base_url);
        argv.some("github-app-client-id", github_app_client_id.as_ref());
        argv.some(
            "github-app-application-id",
            github_app_application_id.as_ref(),
        );
        argv.some(
            "github-app-installation-id",
            github_app_installation_id.as_ref(),
        );
        argv.path(
            "github-app-private-key-file",
            github_app_private_key_file.as_deref(),
        );
        argv.some("git-config", git_config.as_ref());
        for text in git_config_add {
            argv.some("git-config-add", Some(text));
        }
        argv.some(
            "git-gc",
            choice(git_gc).filter(|_| *git_gc != usual.1.git_gc),
        );
        argv.0
    }
}

#[derive(Default)]
struct Argv(Vec<String>);

impl Argv {
    fn some(&mut self, flag: &str, value: Option<impl Display>) {
        self.0
            .extend(value.map(|value| format!("--{flag}={value}")));
    }

    fn path(&mut self, flag: &str, value: Option<&Path>) {
        self.some(flag, value.map(Path::display));
    }

    fn unusual<T: PartialEq + Display>(&mut self, flag: &str, value: &T, usual: &T) {
        self.some(flag, (value != usual).then_some(value));
    }
}

fn choice(value: &impl ValueEnum) -> Option<String> {
    value
        .to_possible_value()
        .map(|value| value.get_name().to_owned())
}
