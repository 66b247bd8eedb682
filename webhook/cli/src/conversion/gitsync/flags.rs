use args::Conversion;
use args::ParsedSync;
use args::ProcessArgs;
use args::RepoArgs;
use args::RepoKind;
use inject::Key;
use inject::PREFIX;
use k8s_openapi::api::core::v1::PodSpec;

/// The flags of a syncer, as annotations.
#[derive(Debug)]
pub(super) struct ConvertedFlags {
    /// The keys of the repository: first `repo`, then `ref` if set.
    pub(super) keys: Vec<(Key, String)>,
    pub(super) kind: RepoKind,
    /// The default name of the link.
    pub(super) default_link: String,
    /// The metrics port.
    pub(super) port: Option<u16>,
    /// Whether published files are group-writable.
    pub(super) is_group_writable: bool,
    pub(super) notes: Vec<String>,
}

/// Converts flags to annotations; an error names a flag that cannot be dropped.
pub(super) fn convert_flags(
    typed: &ParsedSync,
    major: Option<u32>,
    pod: &PodSpec,
) -> Result<ConvertedFlags, String> {
    let RepoArgs {
        repo,
        rev,
        depth,
        period,
        one_time,
        max_failures,
        init_max_failures,
        webhook_url,
        git_config,
        git_config_add,
        ..
    } = &typed.sync.repo;
    let defaults = RepoArgs::default();
    // Legacy spellings disappear with the container: no notice about them.
    let mut notes = typed.ignored.clone();
    let repo = repo
        .as_ref()
        .ok_or("it has neither --repo nor its environment variable")?;
    if repo.user_info().has_secret() {
        return Err(
            "the address contains credentials, which everyone with read access to Pods can read; put them into a Secret named by gitvolume.dev/secret"
                .to_owned(),
        );
    }
    let config = git_config.iter().chain(git_config_add);
    if config.into_iter().any(|text| !is_safe_directory(text)) {
        return Err("--git-config: no equivalent".to_owned());
    }
    let mut keys = vec![(Key::Repo, repo.reveal().to_owned())];
    let is_old = major.is_some_and(|major| (1..=3).contains(&major));
    let is_set = |flag: &str| {
        let start = format!("--{flag}=");
        typed.flags.iter().any(|text| text.starts_with(&start))
    };
    match rev.to_rev() {
        Ok(rev) if rev.as_str() != "HEAD" => keys.push((Key::Ref, rev.to_string())),
        Ok(_) if is_old => {
            keys.push((Key::Ref, "master".to_owned()));
            notes.push(format!(
                "{PREFIX}ref: master was git-sync's default before v4; remove the line to follow the remote's default branch"
            ));
        }
        Ok(_) => {}
        Err(error) => return Err(format!("--ref: {:?}: {error}", rev.as_str())),
    }
    if *period != defaults.period && !one_time {
        keys.push((Key::Period, period.to_string()));
    } else if is_old && !one_time && !is_set("period") {
        notes.push(format!(
            "{PREFIX}period: 10s, and no longer 1s or none as in git-sync before v4"
        ));
    }
    let is_old_depth = is_old && !is_set("depth");
    // Derived from the name of a flag that v4 accepts too.
    let is_guessed = typed.has_v3_depth;
    let is_new = major.is_some_and(|major| major >= 4);
    if is_guessed && is_new {
        // The default of v4.
    } else if *depth == 0 || is_old_depth {
        keys.push((Key::Depth, "0".to_owned()));
        if is_old_depth || is_guessed {
            notes.push(format!(
                "{PREFIX}depth: \"0\" was git-sync's default before v4; remove the line if nothing reads the history"
            ));
        }
    } else if *depth != defaults.depth {
        keys.push((Key::Depth, depth.to_string()));
    }
    for (flag, texts) in typed.sync.changed() {
        let name = typed.names.of(flag.name);
        let value = texts.join(":");
        // Without `--webhook-url` the other webhook flags have no effect.
        if flag.name.starts_with("webhook-") && webhook_url.is_none() {
            continue;
        }
        match flag.conversion {
            Conversion::Key(name) => {
                keys.extend(Key::parse(name).map(|key| (key, value)));
            }
            Conversion::Dropped(why) => notes.push(format!("{name}={value}: {why}")),
            Conversion::Refused(why) => return Err(format!("{name}: {why}")),
            Conversion::Implied | Conversion::Special => {}
        }
    }
    let retries = "the injected syncer retries forever and keeps the last good revision";
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
    let (port, is_group_writable) = process(&typed.sync.process, pod, *one_time, &mut notes)?;
    Ok(ConvertedFlags {
        keys,
        kind: repo.kind(),
        default_link: repo.last_component().to_owned(),
        port,
        is_group_writable,
        notes,
    })
}

/// Converts the flags of the process: the metrics port, and group-writable files.
fn process(
    process: &ProcessArgs,
    pod: &PodSpec,
    one_time: bool,
    notes: &mut Vec<String>,
) -> Result<(Option<u16>, bool), String> {
    let ProcessArgs {
        group_write,
        sync_on_signal,
        http_bind,
        ..
    } = process;
    if sync_on_signal.is_some() && pod.share_process_namespace == Some(true) {
        return Err("--sync-on-signal: no equivalent".to_owned());
    }
    let mut drop = |is_set: bool, text: String| notes.extend(is_set.then_some(text));
    drop(
        sync_on_signal.is_some(),
        "--sync-on-signal: no equivalent; no process in the Pod could send a signal".to_owned(),
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
                    "--http-bind={address}: {PREFIX}metrics-port must be at least 1024 and needs mode sync"
                ),
            ),
        }
    }
    Ok((port, *group_write))
}

/// Whether a git config is one that the injected syncer sets by default.
fn is_safe_directory(text: &str) -> bool {
    let bare: String = text.chars().filter(|c| *c != '"' && *c != ' ').collect();
    ["safe.directory:*", ""].contains(&bare.as_str())
}
