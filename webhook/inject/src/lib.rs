//! A pure function from admission review to answer: what the webhook decides about a Pod.
//!
//! Data flow, one folder per layer; imports point to earlier folders only:
//!
//! 1. `model`: the terms of this crate. `keys`: the table of annotations ([`ANNOTATIONS`], [`Key`])
//!    with the grammar of their values. `policy`: the operator's [`Settings`]. `pod`: the Pod as its
//!    author wrote it.
//! 2. `review`: the admission review ([`Review`]), with the Pod as the raw document that was sent.
//! 3. `sources`: requests from annotations, from objects ([`GitVolume`]) and from gitRepo volumes,
//!    merged field by field; each value keeps its origin ([`Sourced`]). `sources::status` is what an
//!    earlier call recorded.
//! 4. `plan`: what the Pod gets ([`Plan`]), or why not ([`Mistake`], [`SkipReason`]).
//! 5. `patch`: the plan as RFC 6902 operations, each applied to the document as it is recorded.
//!    `patch::check` decodes the result as the API server will.
//! 6. `decision`: steps 2 to 5 for one review ([`answer()`]); removal ([`uninject()`]) and renewal
//!    ([`renew()`]) of an injection.
//! 7. `explain`: the decision for people, rendered from its inputs ([`explain()`]).
//!
//! Start at `decision/decide.rs`. To add an annotation, start at `keys/table.rs` (see
//! CONTRIBUTING.md).
//!
//! *Read typed, write raw*: serializing a Pod from typed structs would drop every field that is
//! newer than they are. That has broken clusters (kubernetes-sigs/windows-testing#576,
//! GoogleCloudPlatform/berglas#264), so typed data is only read.
//!
//! No runtime, no network, no clock, no environment, no file system.

mod decision;
mod explain;
mod keys;
mod model;
mod patch;
mod plan;
mod pod;
mod policy;
mod review;
mod sources;

pub use crate::decision::answer::Answer;
pub use crate::decision::answer::Proposal;
pub use crate::decision::answer::Written;
pub use crate::decision::answer::answer;
pub use crate::decision::answer::propose;
pub use crate::decision::renewal::Renewal;
pub use crate::decision::renewal::has_status;
pub use crate::decision::renewal::injected_objects;
pub use crate::decision::renewal::is_injected;
pub use crate::decision::renewal::renew;
pub use crate::decision::renewal::volumes_of_ours;
pub use crate::decision::uninject::uninject;
pub use crate::explain::Explained;
pub use crate::explain::ExplainedObject;
pub use crate::explain::Repository;
pub use crate::explain::Seen;
pub use crate::explain::annotations_json;
pub use crate::explain::annotations_text;
pub use crate::explain::explain;
pub use crate::explain::explain_object;
pub use crate::explain::explanation::Explanation;
pub use crate::explain::explanation::Present;
pub use crate::explain::setting::Setting;
pub use crate::explain::wrapped;
pub use crate::keys::page::annotations_markdown;
pub use crate::keys::refusal::Mistake;
pub use crate::keys::refusal::Refusal;
pub use crate::keys::table::ANNOTATIONS;
pub use crate::keys::table::Annotation;
pub use crate::keys::table::Key;
pub use crate::keys::table::PREFIX;
pub use crate::keys::table::Scope;
pub use crate::model::error::InternalError;
pub use crate::model::error::ShapeError;
pub use crate::model::mount_path::MountPath;
pub use crate::model::name::Name;
pub use crate::model::quantity::ParseQuantityError;
pub use crate::model::quantity::Quantity;
pub use crate::model::request::GitRepoMode;
pub use crate::model::request::Medium;
pub use crate::model::request::Mode;
pub use crate::model::request::Position;
pub use crate::model::request::Request;
pub use crate::model::role::Role;
pub use crate::model::skip_reason::SkipReason;
pub use crate::model::user::User;
pub use crate::model::user::UserRule;
pub use crate::model::volume::Mount;
pub use crate::model::volume::Source;
pub use crate::model::volume::Volume;
pub use crate::plan::Consumer;
pub use crate::plan::Plan;
pub use crate::plan::container::Syncer;
pub use crate::plan::container::SyncerConfig;
pub use crate::plan::outcome::Outcome;
pub use crate::plan::position::Placement;
pub use crate::plan::position::PlacementRule;
pub use crate::pod::reader::List;
pub use crate::pod::resources::ParseResourcesError;
pub use crate::pod::resources::Resources;
pub use crate::pod::resources::ResourcesRule;
pub use crate::policy::Cache;
pub use crate::policy::OnMistake;
pub use crate::policy::Proxy;
pub use crate::policy::PullPolicy;
pub use crate::policy::RunAs;
pub use crate::policy::Settings;
pub use crate::review::Review;
pub use crate::review::ReviewError;
pub use crate::review::template::is_embedded_object;
pub use crate::review::template::is_of_open_group;
pub use crate::review::template::misplaced;
pub use crate::review::template::pod_template;
pub use crate::review::template::pod_templates;
pub use crate::sources::gitrepo::volume::Follow;
pub use crate::sources::gitrepo::volume::GitRepo;
pub use crate::sources::namespace::Namespace;
pub use crate::sources::objects::custom_resource_definition;
pub use crate::sources::objects::git_volume::GitVolume;
pub use crate::sources::objects::git_volume::Kind;
pub use crate::sources::objects::git_volume::Shadowed;
pub use crate::sources::sourced::Origin;
pub use crate::sources::sourced::Sourced;
pub use crate::sources::sourced::Values;
