//! CA rotation as a pure function: from the content of the Secret, the caBundle and the time to the
//! next change. It makes no API call and reads no clock.
//!
//! A CA is replaced in three steps, and their whole state is in the Secret, so that any replica can
//! resume after a crash of another one:
//!
//! 1. The next CA is generated and stored beside the one that signs; the caBundle gets both.
//! 2. When the caBundle has been read back with both, and every API server has had time to receive
//!    it, the next CA signs.
//! 3. When every leaf of the old CA has expired, it is removed.
//!
//! cert-manager's and OPA's controllers replace the CA at once: a caller that has not received it
//! yet rejects the new certificates.

mod secret;
pub(crate) mod state;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

use k8s_openapi::ByteString;
use rustls::pki_types::CertificateDer;

use crate::Bundle;
use crate::BundleError;
use crate::Published;
use crate::bundle::validity;
use crate::issue::LEAF_LIFETIME;
use crate::rotation::state::Found;
use crate::rotation::state::Next;
use crate::rotation::state::State;

/// Lifetimes of certificates, and the propagation time of the caBundle.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lifetimes {
    /// Lifetime of a CA; the next one is generated when a third is left.
    pub ca: Duration,
    /// Lifetime of a leaf; the next one is issued when a third is left.
    pub leaf: Duration,
    /// Time from reading a caBundle back until every API server knows it. Each API server has its
    /// own watch of webhook configurations, usually a second behind.
    pub propagation: Duration,
}

impl Lifetimes {
    /// The minimum lifetime of a CA: its last third must have room for the lifetime of a leaf and
    /// for the propagation.
    pub fn shortest_ca(&self) -> Duration {
        3 * (self.leaf + self.propagation)
    }
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            ca: Duration::from_secs(365 * 24 * 60 * 60),
            leaf: LEAF_LIFETIME,
            propagation: Duration::from_secs(60),
        }
    }
}

/// The kind of a change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    /// Generated the first CA.
    Made,
    /// Restored the content of a Secret that was emptied or corrupted, and generated a next CA.
    Restored,
    /// Generated the next CA.
    Begun,
    /// Read the next CA back in the caBundle: the propagation time begins.
    Seen,
    /// The next CA is missing from the caBundle again.
    Unseen,
    /// Made the next CA the one that signs.
    Promoted,
    /// Removed expired entries.
    Forgot,
    /// Rewrote the same content in canonical form.
    Tidied,
}

impl Step {
    /// The name in the log.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Made => "generated the first CA",
            Self::Restored => "the Secret was damaged: restored the CA and generated the next one",
            Self::Begun => "generated the next CA; it signs once every API server can have read it",
            Self::Seen => {
                "the caBundle contains the next CA; waiting until every API server can have read it"
            }
            Self::Unseen => {
                "the caBundle no longer contains the next CA; the wait restarts once it does"
            }
            Self::Promoted => "the next CA signs all new certificates from now on",
            Self::Forgot => "the old CA is no longer trusted",
            Self::Tidied => "added the missing keys to the Secret",
        }
    }
}

/// The input of a decision.
pub(crate) struct Facts<'a> {
    /// The content of the Secret as this replica last knew it.
    pub(crate) memory: Option<&'a State>,
    /// Whether a rotation was requested by annotation.
    pub(crate) is_asked: bool,
    /// The caBundle, read just now.
    pub(crate) published: &'a Published,
    /// The lifetimes of new certificates.
    pub(crate) lifetimes: Lifetimes,
    /// The wall-clock time.
    pub(crate) now: SystemTime,
}

/// The desired content of the Secret, and the change that leads to it; `None` if the Secret already
/// has it. The error is that the Secret contains something else; a replica without a `memory` never
/// overwrites that.
pub(crate) fn next(found: Found, facts: &Facts<'_>) -> Result<(State, Option<Step>), BundleError> {
    let memory = facts
        .memory
        .filter(|known| known.signer.is_valid(facts.now));
    match (found, memory) {
        (Found::Usable(state), _) => match state.next(facts)? {
            Some((next, step)) => Ok((next, Some(step))),
            None => Ok((state, None)),
        },
        (Found::Nothing | Found::Unusable(_), Some(known)) => {
            Ok((known.restored(facts)?, Some(Step::Restored)))
        }
        (Found::Nothing, None) => {
            let made = Bundle::generate_for(facts.now, facts.lifetimes.ca)?;
            Ok((State::of(made), Some(Step::Made)))
        }
        (Found::Unusable(error), None) => Err(error),
    }
}

impl State {
    /// The state with a signing CA only.
    pub(crate) fn of(signer: Bundle) -> Self {
        Self {
            signer: Arc::new(signer),
            next: None,
            previous: Vec::new(),
            until: None,
            is_tidy: true,
        }
    }

    /// Parses the data of a Secret.
    pub(crate) fn read(data: Option<&BTreeMap<String, ByteString>>) -> Found {
        secret::read(data)
    }

    /// Writes the state into the data of a Secret; other keys stay.
    pub(crate) fn write(&self, data: &mut BTreeMap<String, ByteString>) {
        secret::write(self, data);
    }

    /// Every CA that callers must trust, the signing one first.
    pub(crate) fn trusted(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        let next = self.next.iter().map(|next| next.ca.signer());
        std::iter::once(self.signer.signer())
            .chain(next)
            .chain(&self.previous)
    }

    /// The same as PEM, for the caBundle.
    pub(crate) fn pem(&self) -> String {
        self.trusted().map(|ca| secret::pem_of(ca)).collect()
    }

    /// The time of the next change that depends on the clock alone.
    pub(crate) fn deadline(&self, lifetimes: &Lifetimes) -> SystemTime {
        let own = match &self.next {
            None => due(&self.signer, lifetimes),
            Some(Next { seen: None, ca }) => ca.not_after(),
            Some(Next {
                seen: Some(seen), ..
            }) => *seen + lifetimes.propagation,
        };
        self.until.map_or(own, |until| until.min(own))
    }

    fn next(&self, facts: &Facts<'_>) -> Result<Option<(Self, Step)>, BundleError> {
        let Facts {
            lifetimes,
            published,
            now,
            ..
        } = *facts;
        let mut state = self.clone();
        state.is_tidy = true;
        state.forget(now);
        match &self.next {
            None if facts.is_asked || is_due(&self.signer, &lifetimes, now) => {
                state.next = Some(Next::make(facts)?);
                return Ok(Some((state, Step::Begun)));
            }
            None => {}
            // No replica finished the rotation while that CA was valid; or a replica whose clock is
            // far off generated it, and must not make it sign.
            Some(next) if !next.ca.is_valid(now) => {
                state.next = Some(Next::make(facts)?);
                return Ok(Some((state, Step::Begun)));
            }
            Some(next) => {
                if let Some(step) = next.step(published, &lifetimes, now) {
                    match step {
                        Step::Promoted => state.promote(facts),
                        Step::Seen => state.see(Some(now)),
                        _ => state.see(None),
                    }
                    return Ok(Some((state, step)));
                }
            }
        }
        if state.previous.len() < self.previous.len() {
            return Ok(Some((state, Step::Forgot)));
        }
        if !self.is_tidy || state.until.is_none() != state.previous.is_empty() {
            state.keep_previous(facts);
            return Ok(Some((state, Step::Tidied)));
        }
        Ok(None)
    }

    /// Removes expired entries.
    fn forget(&mut self, now: SystemTime) {
        let is_over = self.until.is_some_and(|until| until <= now);
        self.previous.retain(|ca| {
            // No caller can trust a certificate that cannot be parsed.
            let ends = validity(ca).map_or(now, |(_, to)| to);
            !is_over && now < ends
        });
        if self.previous.is_empty() {
            self.until = None;
        }
    }

    /// Sets until when the previous CAs are kept, unless it is set already.
    fn keep_previous(&mut self, facts: &Facts<'_>) {
        self.until = match self.previous.is_empty() {
            true => None,
            false => self.until.or(Some(facts.no_leaf_lives())),
        };
    }

    fn see(&mut self, at: Option<SystemTime>) {
        if let Some(next) = &mut self.next {
            next.seen = at;
        }
    }

    fn promote(&mut self, facts: &Facts<'_>) {
        let Some(next) = self.next.take() else {
            return;
        };
        let old = std::mem::replace(&mut self.signer, next.ca);
        self.previous.push(old.signer().clone());
        self.until = Some(facts.no_leaf_lives());
        self.forget(facts.now);
    }

    /// The last known state, for a Secret that has lost it. Another replica may sign with any CA
    /// that callers trust now, so all of them stay for the lifetime of a leaf.
    fn restored(&self, facts: &Facts<'_>) -> Result<Self, BundleError> {
        let mut state = Self {
            signer: Arc::clone(&self.signer),
            next: None,
            previous: Vec::new(),
            until: None,
            is_tidy: true,
        };
        let known = self.trusted().cloned();
        for ca in known.chain(facts.published.certificates().cloned()) {
            if ca != *state.signer.signer() && !state.previous.contains(&ca) {
                state.previous.push(ca);
            }
        }
        state.forget(facts.now);
        state.keep_previous(facts);
        state.next = Some(Next::make(facts)?);
        Ok(state)
    }
}

impl Next {
    fn make(facts: &Facts<'_>) -> Result<Self, BundleError> {
        let ca = Bundle::generate_for(facts.now, facts.lifetimes.ca)?;
        Ok(Self {
            ca: Arc::new(ca),
            seen: None,
        })
    }

    /// The next step of the rotation to this CA.
    fn step(&self, published: &Published, lifetimes: &Lifetimes, now: SystemTime) -> Option<Step> {
        // An unreadable caBundle gives no information.
        let is_published = match published {
            Published::Unknown => return None,
            Published::NotNeeded | Published::Known(_) => published.trusts(self.ca.signer()),
        };
        match (self.seen, is_published) {
            (None, true) => Some(Step::Seen),
            (Some(_), false) => Some(Step::Unseen),
            // The clock went back by more than clocks differ, so the wait would be that much
            // longer: start it again.
            (Some(seen), true) if seen > now + lifetimes.propagation => Some(Step::Seen),
            (Some(seen), true) => (now >= seen + lifetimes.propagation).then_some(Step::Promoted),
            (None, false) => None,
        }
    }
}

impl Facts<'_> {
    /// The time at which every leaf that was signed until now has expired. A replica notices the
    /// change by its watch or in its next pass, far within the propagation time.
    fn no_leaf_lives(&self) -> SystemTime {
        self.now + self.lifetimes.leaf + self.lifetimes.propagation
    }
}

/// The time at which a CA is due for replacement: when a third of its lifetime is left, or of the
/// lifetime that a new CA would get, so that shorter lifetimes apply to existing CAs too.
fn due(ca: &Bundle, lifetimes: &Lifetimes) -> SystemTime {
    let own = ca.not_after().duration_since(ca.made());
    let life = own.unwrap_or_default().min(lifetimes.ca);
    ca.made() + life / 3 * 2
}

fn is_due(ca: &Bundle, lifetimes: &Lifetimes, now: SystemTime) -> bool {
    !ca.is_valid(now) || now >= due(ca, lifetimes)
}

#[cfg(test)]
mod tests;
