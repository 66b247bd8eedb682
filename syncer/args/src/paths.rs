//! Paths of the program and the volumes inside an injected syncer's container.

/// The syncer's program in its image; absolute, because a probe has no `PATH` to rely on.
pub const PROGRAM: &str = "/gitvolume-syncer";

/// Mount path of the content volume; the app's containers mount the same volume elsewhere.
pub const CONTENT: &str = "/gitvolume/content";

/// Mount path of the state volume, which the syncer alone mounts: `HOME`, `TMPDIR`, the probe's
/// record and, in the `projected` and `files` layouts, git's own repository.
pub const STATE: &str = "/gitvolume/state";

/// Directory of the files below the root in the `files` layout: the part of the content volume that
/// the app's containers mount.
pub const TREE: &str = "tree";

/// Mount path of the Secret; git-sync's own, so manifests that name it keep working.
pub const SECRET: &str = "/etc/git-secret";

/// Directory with the Secrets of a syncer of several repositories, each in a subdirectory with the
/// name of the repository.
pub const SECRETS: &str = "/gitvolume/secrets";

/// Mount path of the ServiceAccount's token. An empty volume at this path keeps the token out of
/// the syncer: the API server skips a container that already mounts anything here.
pub const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// User and group of the syncer's image, the same as git-sync's; also the user of an injected
/// syncer if the Pod's settings imply no better one.
pub const UID: i64 = 65533;

/// The default root of the syncer's image and of git-sync v4.
pub const IMAGE_ROOT: &str = "/git";

/// The root that git-sync v3's image set.
pub const V3_IMAGE_ROOT: &str = "/tmp/git";
