use args::GarbageCollection;
use args::GitDuration;
use args::Layout;
use args::ProcessArgs;
use args::RepoArgs;
use args::RepoKind;
use args::Submodules;
use args::Typed;
use inject::PREFIX;
use k8s_openapi::api::core::v1::PodSpec;

/// What a syncer's flags say, as annotations.
#[derive(Debug)]
pub(super) struct Told {
    /// The keys of the repository: `repo`, and `ref` where there is one, first.
    pub(super) keys: Vec<(&'static str, String)>,
    pub(super) kind: RepoKind,
    /// The link's name where no flag has it.
    pub(super) default_link: String,
    /// Where it serves its metrics.
    pub(super) port: Option<u16>,
    /// Whether the group may write what is published.
    pub(super) is_group_writable: bool,
    pub(super) notes: Vec<String>,
}

/// Says flags in annotations; an error names the one that cannot be left out.
pub(super) fn told(typed: &Typed, major: Option<u32>, pod: &PodSpec) -> Result<Told, String> {
    // Taken apart without `..`: a new flag that is forgotten here does not compile.
    let RepoArgs {
        repo,
        rev,
        root: _,
        link: _,
        layout,
        // Ours, and of the layout that is not converted.
        subdir: _,
        state: _,
        secret_dir,
        depth,
        filter,
        submodules,
        // Its lines, in `gitsync`.
        sparse_checkout_file: _,
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
        exechook_timeout: _,
        exechook_backoff: _,
        pre_publish_exechook_command,
        pre_publish_exechook_timeout: _,
        pre_publish_exechook_backoff: _,
        webhook_url,
        webhook_method,
        webhook_success_status,
        webhook_timeout,
        webhook_backoff,
        // The Secret's, in `access`.
        username: _,
        password: _,
        password_file: _,
        credential: _,
        ssh_key_file: _,
        ssh_known_hosts: _,
        ssh_known_hosts_file: _,
        default_known_hosts,
        ca_bundle,
        cookie_file: _,
        askpass_url: _,
        github_base_url: _,
        github_app_client_id: _,
        github_app_application_id: _,
        github_app_installation_id: _,
        github_app_private_key: _,
        github_app_private_key_file: _,
        git_config,
        git_config_add,
        git_gc,
    } = &typed.sync.repo;
    let usual = RepoArgs::default();
    let mut notes: Vec<String> = Vec::new();
    // What is ignored was so before; old spellings are gone with the container.
    let ignored = typed.notices.iter();
    notes.extend(ignored.filter(|text| text.contains("ignored")).cloned());
    let repo = repo
        .as_ref()
        .ok_or("it has no --repo, and no variable that says it")?;
    let mut lost: Vec<&str> = Vec::new();
    let mut lose = |is_set: bool, text: &'static str| lost.extend(is_set.then_some(text));
    lose(
        repo.user_info().has_secret(),
        "the address has credentials in it, which everyone who may read Pods reads; put them into \
         a Secret named by gitvolume.dev/secret",
    );
    lose(
        *layout != Layout::Link,
        "--layout: only git-sync's own layout is converted",
    );
    lose(
        secret_dir.is_some(),
        "--secret-dir: name its Secret by gitvolume.dev/secret",
    );
    lose(
        default_known_hosts.is_some(),
        "GITSYNC_DEFAULT_KNOWN_HOSTS: put its lines into the Secret named by gitvolume.dev/secret, \
         as known_hosts, or into the operator's setting knownHosts",
    );
    lose(
        ca_bundle.is_some(),
        "GITSYNC_CA_BUNDLE: put its certificates into the Secret named by gitvolume.dev/secret, as \
         ca.crt, or into the operator's setting caBundle",
    );
    lose(
        error_file.is_some(),
        "--error-file has no equivalent; the error is in the container's log and in `kubectl \
         describe pod`",
    );
    lose(
        touch_file.is_some(),
        "--touch-file has no equivalent; gitvolume.dev/notify calls an address instead",
    );
    lose(
        exechook_command.is_some(),
        "--exechook-command has no equivalent, since no program of yours is in the injected \
         syncer; gitvolume.dev/notify calls an address instead",
    );
    lose(
        pre_publish_exechook_command.is_some(),
        "--pre-publish-exechook-command has no equivalent",
    );
    lose(
        webhook_url.is_some() && webhook_method != "POST",
        "--webhook-method: gitvolume.dev/notify sends a POST",
    );
    lose(
        webhook_url.is_some() && *webhook_success_status != 200,
        "--webhook-success-status: gitvolume.dev/notify calls until the answer is 200",
    );
    let config = git_config.iter().chain(git_config_add);
    lose(
        config.into_iter().any(|text| !is_safe_directory(text)),
        "--git-config has no equivalent",
    );
    let mut keys = vec![("repo", repo.reveal().to_owned())];
    let is_old = major.is_some_and(|major| (1..=3).contains(&major));
    let is_set = |flag: &str| {
        let start = format!("--{flag}=");
        typed.flags.iter().any(|text| text.starts_with(&start))
    };
    match rev.to_rev() {
        Ok(rev) if rev.as_str() != "HEAD" => keys.push(("ref", rev.to_string())),
        Ok(_) if is_old => {
            keys.push(("ref", "master".to_owned()));
            notes.push(format!(
                "{PREFIX}ref: master was git-sync's default before v4; leave the line out for the \
                 remote's own"
            ));
        }
        Ok(_) => {}
        Err(error) => return Err(format!("--ref: {:?}: {error}", rev.as_str())),
    }
    if *period != usual.period && !one_time {
        keys.push(("period", period.to_string()));
    } else if is_old && !one_time && !is_set("period") {
        notes.push(format!(
            "{PREFIX}period: 10s, and no longer 1s or none as in git-sync before v4"
        ));
    }
    let is_old_depth = is_old && !is_set("depth");
    // By the name of some flag alone, which v4 takes too.
    let is_guessed = typed
        .notices
        .iter()
        .any(|text| text.starts_with("all history"));
    let is_new = major.is_some_and(|major| major >= 4);
    if is_guessed && is_new {
        // Its own default.
    } else if *depth == 0 || is_old_depth {
        keys.push(("depth", "0".to_owned()));
        if is_old_depth || is_guessed {
            notes.push(format!(
                "{PREFIX}depth: \"0\" was git-sync's default before v4; leave the line out where \
                 nobody reads the history"
            ));
        }
    } else if *depth != usual.depth {
        keys.push(("depth", depth.to_string()));
    }
    keys.extend(filter.clone().map(|filter| ("filter", filter)));
    let patterns = sparse_checkout.as_ref().map(ToString::to_string);
    keys.extend(patterns.map(|patterns| ("sparse-checkout", patterns)));
    match submodules {
        Submodules::Recursive => {}
        Submodules::Shallow => keys.push(("submodules", "shallow".to_owned())),
        Submodules::Off => keys.push(("submodules", "off".to_owned())),
    }
    if *sync_timeout != usual.sync_timeout {
        keys.push(("timeout", sync_timeout.to_string()));
    }
    keys.extend(webhook_url.clone().map(|url| ("notify", url)));
    let retries = "the injected syncer tries for ever, and keeps the last good revision";
    let mut drop = |is_set: bool, text: String| notes.extend(is_set.then_some(text));
    drop(
        *max_failures > 0,
        format!("--max-failures={max_failures}: {retries}"),
    );
    if let Some(failures) = init_max_failures {
        drop(
            *failures >= 0,
            format!("--init-max-failures={failures}: {retries}"),
        );
    }
    if let Some(period) = init_period {
        drop(
            true,
            format!("--init-period={period}: the first tries are a period apart"),
        );
    }
    drop(
        *stale_worktree_timeout != GitDuration::from_secs(0),
        format!(
            "--stale-worktree-timeout={stale_worktree_timeout}: the operator's choice, 60s by \
             default"
        ),
    );
    drop(
        *stale_after != usual.stale_after,
        format!("--stale-after={stale_after}: no equivalent"),
    );
    drop(
        webhook_url.is_some() && *webhook_timeout != usual.webhook_timeout,
        format!("--webhook-timeout={webhook_timeout}: it is 1s"),
    );
    drop(
        webhook_url.is_some() && *webhook_backoff != usual.webhook_backoff,
        format!("--webhook-backoff={webhook_backoff}: it is 3s"),
    );
    drop(
        *git_gc != GarbageCollection::default(),
        "--git-gc: garbage is always collected after a change".to_owned(),
    );
    let (port, is_group_writable) = process(&typed.sync.process, pod, *one_time, &mut notes)?;
    if let Some(first) = lost.first() {
        return Err((*first).to_owned());
    }
    Ok(Told {
        keys,
        kind: repo.kind(),
        default_link: repo.last_component().to_owned(),
        port,
        is_group_writable,
        notes,
    })
}

/// The flags of the process: where the metrics are, and whether the group may write.
fn process(
    process: &ProcessArgs,
    pod: &PodSpec,
    one_time: bool,
    notes: &mut Vec<String>,
) -> Result<(Option<u16>, bool), String> {
    let ProcessArgs {
        config,
        config_inline,
        git,
        no_poller,
        max_git_processes,
        group_write,
        // Nothing of ours needs it.
        add_user: _,
        sync_on_signal,
        http_bind,
        http_metrics: _,
        http_pprof,
        verbose,
    } = process;
    let usual = ProcessArgs::default();
    if config.is_some() || config_inline.is_some() {
        return Err("--config: several repositories in one container are not converted".to_owned());
    }
    if *git != usual.git {
        return Err("--git: the injected syncer runs its own git".to_owned());
    }
    if sync_on_signal.is_some() && pod.share_process_namespace == Some(true) {
        return Err("--sync-on-signal has no equivalent".to_owned());
    }
    let mut drop = |is_set: bool, text: String| notes.extend(is_set.then_some(text));
    drop(
        sync_on_signal.is_some(),
        "--sync-on-signal: no equivalent; nobody in the Pod could send one".to_owned(),
    );
    drop(*no_poller, "--no-poller: no equivalent".to_owned());
    drop(
        *max_git_processes != usual.max_git_processes,
        "--max-git-processes: no equivalent".to_owned(),
    );
    drop(*http_pprof, "--http-pprof: no equivalent".to_owned());
    drop(
        *verbose > 0,
        format!("--verbose={verbose}: the injected syncer logs at level 0"),
    );
    let fs_group = pod.security_context.as_ref();
    let fs_group = fs_group.is_some_and(|own| own.fs_group.is_some());
    drop(
        *group_write && !fs_group,
        "--group-write: the group may write where the Pod has an fsGroup".to_owned(),
    );
    let mut port = None;
    if let Some(address) = http_bind {
        let (host, number) = address.rsplit_once(':').unwrap_or(("", address));
        port = number
            .parse()
            .ok()
            .filter(|port| *port >= 1024 && !one_time);
        match port {
            Some(port) => drop(
                !host.is_empty(),
                format!("--http-bind={address}: {port} is served at every address of the Pod"),
            ),
            None => drop(
                true,
                format!(
                    "--http-bind={address}: {PREFIX}metrics-port is from 1024 on, and of mode sync"
                ),
            ),
        }
    }
    Ok((port, *group_write))
}

/// What the injected syncer does by itself.
fn is_safe_directory(text: &str) -> bool {
    let bare: String = text.chars().filter(|c| *c != '"' && *c != ' ').collect();
    ["safe.directory:*", ""].contains(&bare.as_str())
}
