//! A pure function from admission review to answer: what the webhook decides about a Pod.
//!
//! The way of the data, one file each:
//!
//! 1. [`Review`] (`review`): the API server's question, the Pod as the raw document it sent.
//! 2. [`Request`] (`annotations`, `request`): what the Pod asks for, by one table, [`ANNOTATIONS`].
//!    What objects give a Pod is laid under it ([`GitVolume`], `objects`).
//!    `wanted` is all of it, that of gitRepo volumes included; `injected` tells what of it the Pod
//!    has already, `conflicts` what the Pod does not allow, `warnings` what may surprise.
//! 3. [`Plan`] (`plan`; `position`, `reader`, `entry`, `container`, `volume`, `resources`, `user`):
//!    what the Pod gets, from the requests, the Pod read as typed data (`typed`), and the operator's
//!    [`Settings`] (`policy`).
//!    `decide` goes this way for one Pod.
//! 4. `mutate` writes the plan through a `recorder`, which makes of every edit an RFC 6902 operation.
//! 5. `check` applies the recorded patch to the document and looks at the outcome as the API
//!    server will.
//! 6. [`Answer`] (`answer`, `outcome`): response, log line, metric and audit annotations.
//!
//! *Read typed, write raw*: a Pod that went through our types would lose every field that is newer
//! than they are. That has broken clusters (kubernetes-sigs/windows-testing#576,
//! GoogleCloudPlatform/berglas#264), so typed data is for looking only.
//!
//! No runtime, no network, no clock, no environment, no file system.

mod annotations;
mod answer;
mod check;
mod conflicts;
mod container;
mod decide;
mod draft;
mod entry;
mod error;
mod evictable;
mod explain;
mod gitrepo;
mod injected;
mod mount_path;
mod mutate;
mod name;
mod namespace;
mod objects;
mod operations;
mod outcome;
mod part;
mod plan;
mod policy;
mod position;
mod quantity;
mod reader;
mod recorder;
mod renewal;
mod request;
mod resources;
mod review;
mod status;
mod suggest;
mod template;
mod typed;
mod uninject;
mod user;
mod value;
mod volume;
mod wanted;
mod warnings;
mod wide;
mod windows;

pub use annotations::ANNOTATIONS;
pub use annotations::Annotation;
pub use annotations::PREFIX;
pub use annotations::Scope;
pub use annotations::annotations_markdown;
pub use annotations::annotations_summary;
pub use answer::Answer;
pub use answer::Proposal;
pub use answer::Written;
pub use answer::answer;
pub use answer::propose;
pub use container::Role;
pub use container::Syncer;
pub use container::Told;
pub use error::InternalError;
pub use explain::Explained;
pub use explain::ExplainedObject;
pub use explain::Explanation;
pub use explain::Present;
pub use explain::Repository;
pub use explain::Seen;
pub use explain::Setting;
pub use explain::annotations_json;
pub use explain::annotations_text;
pub use explain::explain;
pub use explain::explain_object;
pub use explain::wrapped;
pub use gitrepo::Follow;
pub use gitrepo::GitRepo;
pub use mount_path::MountPath;
pub use name::Name;
pub use namespace::Namespace;
pub use objects::GitVolume;
pub use objects::Kind;
pub use objects::Shadowed;
pub use objects::custom_resource_definition;
pub use outcome::Mistake;
pub use outcome::Outcome;
pub use outcome::Refusal;
pub use outcome::SkipReason;
pub use plan::Consumer;
pub use plan::Plan;
pub use policy::OnMistake;
pub use policy::Proxy;
pub use policy::PullPolicy;
pub use policy::RunAs;
pub use policy::Settings;
pub use quantity::ParseQuantityError;
pub use quantity::Quantity;
pub use reader::List;
pub use renewal::Renewal;
pub use renewal::has_status;
pub use renewal::injected_objects;
pub use renewal::is_injected;
pub use renewal::renew;
pub use request::GitRepoMode;
pub use request::Medium;
pub use request::Mode;
pub use request::Position;
pub use request::Request;
pub use resources::ParseResourcesError;
pub use resources::Resources;
pub use review::Review;
pub use review::ReviewError;
pub use template::is_embedded_object;
pub use template::is_of_open_group;
pub use template::misplaced;
pub use template::pod_template;
pub use template::pod_templates;
pub use typed::ShapeError;
pub use uninject::uninject;
pub use user::User;
pub use volume::Mount;
pub use volume::Source;
pub use volume::Volume;
