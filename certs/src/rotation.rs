//! The CA's life as a function: from what the Secret holds, what callers trust and the time to the
//! one change that is next. No API call and no clock in here.
//!
//! A CA is replaced in three steps, and everything that they need to know is in the Secret, so that
//! any replica goes on where another one died:
//!
//! 1. The next CA is made and put beside the one that signs; the caBundle gets both.
//! 2. When the caBundle was read with both, and every API server had time to hear of it, the next
//!    CA signs.
//! 3. When no leaf of the old CA can be alive, it is forgotten.
//!
//! cert-manager's and OPA's controllers replace the CA at once: a caller that has not heard of it
//! yet refuses the new certificates.

mod secret;

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

/// How long certificates live, and how long news may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lifetimes {
    /// Of a CA; the next one is made when a third is left.
    pub ca: Duration,
    /// Of a leaf; the next one is signed when a third is left.
    pub leaf: Duration,
    /// From the moment at which a caBundle was read back until every API server knows it. Each has
    /// its own watch of webhook configurations, usually a second behind.
    pub propagation: Duration,
}

impl Lifetimes {
    /// The shortest life of a CA in which its leaves and their hand-over have room: all of it has to
    /// happen in the last third.
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

/// What the Secret holds.
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// The CA that signs.
    pub(crate) signer: Arc<Bundle>,
    /// The CA that will.
    pub(crate) next: Option<Next>,
    /// CAs that have signed.
    pub(crate) previous: Vec<CertificateDer<'static>>,
    /// When those are forgotten.
    pub(crate) until: Option<SystemTime>,
    /// Whether the Secret says all this, and says it as we would.
    pub(crate) is_tidy: bool,
}

/// The CA that will sign.
#[derive(Clone, Debug)]
pub(crate) struct Next {
    pub(crate) ca: Arc<Bundle>,
    /// When the caBundle was first read with it.
    pub(crate) seen: Option<SystemTime>,
}

/// What is in the Secret.
#[derive(Debug)]
pub(crate) enum Found {
    /// No certificate and no key: as the chart makes it.
    Nothing,
    /// Something that nobody can sign with.
    Unusable(BundleError),
    /// A CA, and perhaps one that comes or went.
    Usable(State),
}

/// What was done in one change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    /// The first CA.
    Made,
    /// What the Secret had before somebody emptied or spoilt it, with a next CA.
    Restored,
    /// The next CA is there.
    Begun,
    /// The caBundle was read with it: the wait begins.
    Seen,
    /// The caBundle has lost it again.
    Unseen,
    /// The next CA signs.
    Promoted,
    /// What is of no use any more is gone.
    Forgot,
    /// The Secret says the same, as we write it.
    Tidied,
}

impl Step {
    /// For the log.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Made => "made the first CA",
            Self::Restored => "the Secret was spoilt: put the CA back, and made the next one",
            Self::Begun => "made the next CA; it signs when every API server can know it",
            Self::Seen => "the caBundle has the next CA; waiting for every API server to know it",
            Self::Unseen => "the caBundle lost the next CA; it has to be there again first",
            Self::Promoted => "the next CA signs from now on",
            Self::Forgot => "the old CA is trusted no more",
            Self::Tidied => "the Secret was completed",
        }
    }
}

/// What is known when a change is looked for.
pub(crate) struct Facts<'a> {
    /// What this replica knows the Secret to have held.
    pub(crate) memory: Option<&'a State>,
    /// Whether somebody asked for another CA.
    pub(crate) is_asked: bool,
    /// The caBundle as it was read just now.
    pub(crate) published: &'a Published,
    /// The lifetimes of what is made now.
    pub(crate) lifetimes: Lifetimes,
    /// The time by the wall clock.
    pub(crate) now: SystemTime,
}

/// What the Secret shall hold, and what was done to get there; nothing if it holds that already. An
/// error is of a Secret with something else in it, which is never overwritten by who knows no better.
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
    /// A CA and nothing else.
    pub(crate) fn of(signer: Bundle) -> Self {
        Self {
            signer: Arc::new(signer),
            next: None,
            previous: Vec::new(),
            until: None,
            is_tidy: true,
        }
    }

    /// What is in a Secret's data.
    pub(crate) fn read(data: Option<&BTreeMap<String, ByteString>>) -> Found {
        secret::read(data)
    }

    /// Writes it into a Secret's data; what else is there stays.
    pub(crate) fn write(&self, data: &mut BTreeMap<String, ByteString>) {
        secret::write(self, data);
    }

    /// Every CA that callers shall trust, the one that signs first.
    pub(crate) fn trusted(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        let next = self.next.iter().map(|next| next.ca.signer());
        std::iter::once(self.signer.signer())
            .chain(next)
            .chain(&self.previous)
    }

    /// The same, for the caBundle.
    pub(crate) fn pem(&self) -> String {
        self.trusted().map(|ca| secret::pem_of(ca)).collect()
    }

    /// When the next change is due by the clock alone.
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
            // Nobody finished it in all its life; or a replica made it whose clock is far off, and
            // must not make it sign.
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

    /// Leaves out what is of no use any more.
    fn forget(&mut self, now: SystemTime) {
        let is_over = self.until.is_some_and(|until| until <= now);
        self.previous.retain(|ca| {
            // One that cannot be read trusts nobody.
            let ends = validity(ca).map_or(now, |(_, to)| to);
            !is_over && now < ends
        });
        if self.previous.is_empty() {
            self.until = None;
        }
    }

    /// Says until when the previous ones are kept, where nobody has.
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

    /// What we know, for a Secret that has lost it. Whatever callers trust now may be what another
    /// replica signs with, so it stays for as long as a leaf does.
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

    /// What is next on its way.
    fn step(&self, published: &Published, lifetimes: &Lifetimes, now: SystemTime) -> Option<Step> {
        // A caBundle that could not be read says nothing.
        let is_published = match published {
            Published::Unknown => return None,
            Published::NotNeeded | Published::Known(_) => published.trusts(self.ca.signer()),
        };
        match (self.seen, is_published) {
            (None, true) => Some(Step::Seen),
            (Some(_), false) => Some(Step::Unseen),
            // The clock went back, by more than clocks differ: the wait would last that long.
            (Some(seen), true) if seen > now + lifetimes.propagation => Some(Step::Seen),
            (Some(seen), true) => (now >= seen + lifetimes.propagation).then_some(Step::Promoted),
            (None, false) => None,
        }
    }
}

impl Facts<'_> {
    /// When no leaf that was signed until now is alive. A replica hears of the change by its watch
    /// or at its next look, far within the time that news may take.
    fn no_leaf_lives(&self) -> SystemTime {
        self.now + self.lifetimes.leaf + self.lifetimes.propagation
    }
}

/// When a CA is to be replaced: when a third of its life is left, or of the life that it would be
/// given now, so that shorter lifetimes count for what is there.
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
