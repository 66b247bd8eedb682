//! Where an injected syncer finds its program and its volumes, inside its own container.

/// The syncer's program in its image; absolute, because a probe has no `PATH` to rely on.
pub const PROGRAM: &str = "/gitvolume-syncer";

/// Mount path of the content volume; the app's containers mount the same volume elsewhere.
pub const CONTENT: &str = "/gitvolume/content";

/// Mount path of the state volume, which the syncer alone mounts: `HOME`, `TMPDIR`, the probe's
/// record and, in the `projected` layout, git's own repository.
pub const STATE: &str = "/gitvolume/state";

/// Mount path of the Secret; git-sync's own, so manifests that name it keep working.
pub const SECRET: &str = "/etc/git-secret";

/// Where a syncer of several repositories has their Secrets, each in a directory of its name.
pub const SECRETS: &str = "/gitvolume/secrets";

/// Where the ServiceAccount's token would be mounted; an empty volume there keeps it out of the
/// syncer (the API server leaves a container alone that already mounts anything at this path).
pub const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// User and group of the syncer's image, and the user of an injected syncer where the Pod gives no
/// better one; git-sync's own number.
pub const UID: i64 = 65533;

/// The root that the syncer's image sets, and git-sync v4's.
pub const IMAGE_ROOT: &str = "/git";

/// The root that git-sync v3's image set.
pub const V3_IMAGE_ROOT: &str = "/tmp/git";
