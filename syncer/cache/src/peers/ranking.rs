//! Which replica requests a pack from the git host for all of them.

use std::net::IpAddr;

use ring::digest::Context;
use ring::digest::SHA256;

use crate::store::key::Key;

/// The addresses of all replicas.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct ReplicaAddresses {
    /// This replica's.
    pub(crate) own: Vec<IpAddr>,
    pub(crate) others: Vec<IpAddr>,
}

impl ReplicaAddresses {
    /// The other replica that leads the requests of a key; `None` if this one does.
    ///
    /// Rendezvous hashing: the address with the smallest hash of key and address leads, so replicas
    /// that know the same addresses agree, and each leads an equal share of the keys.
    pub(crate) fn leader(&self, key: Key) -> Option<IpAddr> {
        let smallest = |all: &[IpAddr]| all.iter().map(|ip| (hash(key, *ip), *ip)).min();
        let other = smallest(&self.others)?;
        let is_other = smallest(&self.own).is_none_or(|own| other < own);
        is_other.then_some(other.1)
    }
}

fn hash(key: Key, ip: IpAddr) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(&key.0);
    context.update(ip.to_string().as_bytes());
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_replicas_agree_on_one_leader_and_share_the_keys() {
        let ips: Vec<IpAddr> = (1..=3u8).map(|it| IpAddr::from([10, 0, 0, it])).collect();
        let mut leads = [0; 3];
        for number in 0..=255 {
            let key = Key([number; 32]);
            let leaders: Vec<usize> = (0..3)
                .filter(|own| {
                    let (own, others) = ips.iter().partition(|ip| **ip == ips[*own]);
                    ReplicaAddresses { own, others }.leader(key).is_none()
                })
                .collect();
            assert_eq!(leaders.len(), 1, "{leaders:?}");
            leads[leaders[0]] += 1;
        }
        assert!(leads.iter().all(|count| *count > 50), "{leads:?}");
    }

    #[test]
    fn a_replica_alone_leads_and_one_without_an_address_does_not() {
        let key = Key([7; 32]);
        let ip = IpAddr::from([10, 0, 0, 1]);
        let alone = ReplicaAddresses {
            own: vec![ip],
            others: Vec::new(),
        };
        assert_eq!(alone.leader(key), None);
        assert_eq!(ReplicaAddresses::default().leader(key), None);
        let unknown = ReplicaAddresses {
            own: Vec::new(),
            others: vec![ip],
        };
        assert_eq!(unknown.leader(key), Some(ip));
    }
}
