//! The poll over ssh: one command on a connection that is kept, of this repository or of another
//! one that is let in by the same keys.

mod known_hosts;

use std::borrow::Cow;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use args::SshAddress;
use nix::unistd::Uid;
use nix::unistd::User;
use russh::ChannelMsg;
use russh::Disconnect;
use russh::Preferred;
use russh::client;
use russh::client::Handle;
use russh::keys::Algorithm;
use russh::keys::HashAlg;
use russh::keys::PrivateKey;
use russh::keys::PrivateKeyWithHashAlg;
use russh::keys::PublicKey;
use russh::keys::PublicKeyOrCertificate;

use crate::auth::Grant;
use crate::auth::SshGrant;
use crate::engine::Asking;
use crate::engine::Engine;
use crate::engine::EngineError;
use crate::engine::Told;
use crate::engine::connect;
use crate::engine::packets::Packets;
use crate::engine::packets::ProtocolError;
use crate::engine::pool::Aged;
use crate::engine::pool::Connection;
use crate::engine::pool::Pool;
use crate::engine::refs;
use crate::engine::refs::Greeted;
use crate::engine::refs::Greeting;
use crate::engine::refs::Search;
use crate::git::Hash;

// The process has one set of sessions, whichever repository asks.
static KEPT: Pool<Arc<Way>, Session> = Pool::new();

type Session = Handle<Guard>;

impl Connection for Session {
    fn is_open(&self) -> bool {
        !self.is_closed()
    }
}

/// Asks an ssh server.
#[derive(Debug)]
pub(super) struct SshEngine {
    address: SshAddress,
    name: String,
    /// The session is kept from poll to poll.
    is_keeping: bool,
    generation: u64,
    way: Option<Arc<Way>>,
}

/// How one is let in: sessions made in the same way are the same.
#[derive(PartialEq)]
struct Way {
    user: String,
    host: String,
    port: u16,
    keys: Vec<Arc<PrivateKey>>,
    /// The keys that the host may have; none: any.
    host_keys: Option<Vec<PublicKey>>,
}

impl std::fmt::Debug for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Way")
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

impl SshEngine {
    /// Describes a remote; nothing is asked yet. `None` for an address that git would not read.
    pub(super) fn new(url: &str, name: &str, is_keeping: bool) -> Option<Self> {
        Some(Self {
            address: SshAddress::parse(url)?,
            name: name.to_owned(),
            is_keeping,
            generation: 0,
            way: None,
        })
    }

    async fn compare(&mut self, grant: &Grant, known: &Hash) -> Result<Told, EngineError> {
        if self.generation != grant.generation {
            self.way = None;
            self.generation = grant.generation;
        }
        let way = match &self.way {
            Some(way) => way.clone(),
            None => {
                let grant = grant
                    .ssh
                    .as_ref()
                    .ok_or(EngineError::Unfit("there are no ssh keys"))?;
                let way = Arc::new(Way::of(&self.address, grant)?);
                self.way = Some(way.clone());
                way
            }
        };
        if let Some(kept) = KEPT.take(&way) {
            match self.list(&kept.connection, known).await {
                Err(EngineError::Ssh(error)) => {
                    tracing::info!(v = 4, %error, "the kept ssh connection was closed");
                }
                told => {
                    let told = told?;
                    KEPT.keep(way, kept);
                    return Ok(told);
                }
            }
        }
        let session = Aged::new(way.open().await?);
        let told = self.list(&session.connection, known).await?;
        if self.is_keeping {
            KEPT.keep(way, session);
        } else {
            let bye = Disconnect::ByApplication;
            session.connection.disconnect(bye, "", "").await?;
        }
        Ok(told)
    }

    /// Has the server run its part of git once.
    async fn list(&self, session: &Session, known: &Hash) -> Result<Told, EngineError> {
        let mut channel = session.channel_open_session().await?;
        // A server may not take the variable, and speaks as of old then.
        channel.set_env(false, "GIT_PROTOCOL", "version=2").await?;
        channel
            .exec(false, self.address.upload_pack_command())
            .await?;
        let mut packets = Packets::default();
        let mut search = Search::new(&self.name, known);
        let mut greeted = Some(Greeted::new(search.clone()));
        let answer = loop {
            let data = match channel.wait().await {
                Some(ChannelMsg::Data { data }) => data,
                Some(_) => continue,
                None if session.is_closed() => {
                    return Err(EngineError::Ssh(russh::Error::Disconnect));
                }
                None => return Err(EngineError::Protocol(ProtocolError::Short)),
            };
            packets.push(&data)?;
            if let Some(greeting) = &mut greeted {
                match greeting.read(&mut packets)? {
                    None => continue,
                    Some(Greeting::Listed(answer)) => break answer,
                    Some(Greeting::Capabilities { object_format }) => {
                        let request = refs::request(&self.name, object_format.as_deref());
                        channel.data_bytes(request).await?;
                        greeted = None;
                    }
                }
            }
            if let Some(answer) = refs::listed(&mut packets, &mut search)? {
                break answer;
            }
        };
        // Nothing more is wanted: git on the other side ends well.
        channel.data_bytes(&b"0000"[..]).await?;
        channel.close().await?;
        Ok(Told {
            answer,
            received: packets.total(),
        })
    }
}

impl Engine for SshEngine {
    fn ask<'a>(&'a mut self, grant: &'a Grant, known: &'a Hash) -> Asking<'a> {
        Box::pin(self.compare(grant, known))
    }
}

impl Way {
    /// Reads the keys and the known hosts.
    fn of(address: &SshAddress, grant: &SshGrant) -> Result<Self, EngineError> {
        let ours = || -> Option<String> { Some(User::from_uid(Uid::effective()).ok()??.name) };
        let user = address.user.clone().or_else(ours);
        let user = user.ok_or(EngineError::Unfit(
            "the address names no user, and we have no name",
        ))?;
        let keys = grant.keys.iter().map(|path| private_key(path));
        let host_keys = match &grant.known_hosts {
            Some(path) if grant.check => {
                let text = read(path)?;
                let keys = known_hosts::keys_of(&text, &address.host, address.port);
                let keys =
                    keys.map_err(|_| EngineError::Unfit("known_hosts has a line with a marker"))?;
                if keys.is_empty() {
                    return Err(EngineError::HostKey);
                }
                Some(keys)
            }
            None if grant.check => {
                return Err(EngineError::Unfit("there is no known_hosts file of ours"));
            }
            _ => None,
        };
        Ok(Self {
            user,
            host: address.host.clone(),
            port: address.port,
            keys: keys.collect::<Result<_, _>>()?,
            host_keys,
        })
    }

    async fn open(&self) -> Result<Session, EngineError> {
        let mut preferred = Preferred::default();
        if let Some(keys) = &self.host_keys {
            preferred.key = Cow::Owned(known_hosts::algorithms(keys, &preferred.key));
        }
        let config = client::Config {
            preferred,
            ..client::Config::default()
        };
        let guard = Guard {
            host_keys: self.host_keys.clone(),
        };
        let stream = connect::connect(&self.host, self.port).await?;
        let mut session = client::connect_stream(Arc::new(config), stream, guard)
            .await
            .map_err(|error| match error {
                russh::Error::UnknownKey => EngineError::HostKey,
                error => EngineError::Ssh(error),
            })?;
        for key in &self.keys {
            let hash = match key.algorithm() {
                Algorithm::Rsa { .. } => Some(rsa_hash(&session).await?),
                _ => None,
            };
            let key = PrivateKeyWithHashAlg::new(key.clone(), hash);
            if session
                .authenticate_publickey(&self.user, key)
                .await?
                .success()
            {
                return Ok(session);
            }
        }
        Err(EngineError::Unfit("the server takes none of the ssh keys"))
    }
}

/// By which hash an RSA key signs: SHA-1, which some old servers have alone, is left to ssh.
async fn rsa_hash(session: &Session) -> Result<HashAlg, EngineError> {
    match session.best_supported_rsa_hash().await? {
        Some(Some(hash)) => Ok(hash),
        Some(None) => Err(EngineError::Unfit("the server knows RSA with SHA-1 alone")),
        None => Ok(HashAlg::Sha512),
    }
}

fn private_key(path: &Path) -> Result<Arc<PrivateKey>, EngineError> {
    let mut certificate = path.as_os_str().to_owned();
    certificate.push("-cert.pub");
    if Path::new(&certificate).exists() {
        return Err(EngineError::Unfit("an ssh key has a certificate"));
    }
    let key = russh::keys::decode_secret_key(&read(path)?, None);
    // ssh passes over a key that needs a passphrase, or tries it in forms that we do not know.
    key.map(Arc::new)
        .map_err(|_| EngineError::Unfit("an ssh key is encrypted or of another kind"))
}

fn read(path: &Path) -> Result<String, EngineError> {
    fs::read_to_string(path).map_err(|source| EngineError::Read {
        path: path.display().to_string(),
        source,
    })
}

/// Lets a session begin only with a known host.
struct Guard {
    host_keys: Option<Vec<PublicKey>>,
}

impl client::Handler for Guard {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        shown: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = shown else {
            return Ok(false);
        };
        let is_it = |known: &PublicKey| known.key_data() == key.key_data();
        Ok(self
            .host_keys
            .as_ref()
            .is_none_or(|keys| keys.iter().any(is_it)))
    }
}
