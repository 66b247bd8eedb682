//! A poll over ssh: one command on a session that is kept for this repository, or for another one
//! with the same user, host and keys.

use std::borrow::Cow;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use args::Revision;
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

use crate::connect;
use crate::credentials::Credentials;
use crate::credentials::SshCredentials;
use crate::error::PollError;
use crate::network::Network;
use crate::packets::Packets;
use crate::packets::ProtocolError;
use crate::pool::Aged;
use crate::pool::Connection;
use crate::pool::Pool;
use crate::refs;
use crate::refs::Greeting;
use crate::refs::Handshake;
use crate::refs::Search;
use crate::response::Answer;
use crate::response::KnownRef;
use crate::response::PollResponse;
use crate::ssh::known_hosts;

// The process has one set of sessions, shared by all repositories.
pub(super) static KEPT: Pool<Arc<SessionKey>, Session> = Pool::new();

pub(super) type Session = Handle<Guard>;

impl Connection for Session {
    fn is_open(&self) -> bool {
        !self.is_closed()
    }
}

/// Polls one ref of an ssh remote.
pub struct SshRefPoller {
    pub(super) address: SshAddress,
    rev: Revision,
    /// Whether the session is kept between polls.
    pub(super) is_keeping: bool,
    network: Arc<dyn Network>,
    generation: u64,
    pub(super) session_key: Option<Arc<SessionKey>>,
}

/// The parameters of a session: two polls with the same key share a session.
#[derive(PartialEq)]
pub(super) struct SessionKey {
    user: String,
    host: String,
    port: u16,
    keys: Vec<Arc<PrivateKey>>,
    /// The accepted keys of the host; `None` accepts any.
    host_keys: Option<Vec<PublicKey>>,
}

impl SshRefPoller {
    /// Describes a remote without contacting it. `None` for an address that git does not accept.
    pub fn new(
        url: &str,
        rev: Revision,
        is_keeping: bool,
        network: Arc<dyn Network>,
    ) -> Option<Self> {
        Some(Self {
            address: SshAddress::parse(url)?,
            rev,
            is_keeping,
            network,
            generation: 0,
            session_key: None,
        })
    }

    /// Compares the ref with the known one.
    pub async fn poll(
        &mut self,
        credentials: Credentials<'_>,
        known: KnownRef<'_>,
    ) -> Result<PollResponse, PollError> {
        if self.generation != credentials.generation {
            self.session_key = None;
            self.generation = credentials.generation;
        }
        let session_key = match &self.session_key {
            Some(session_key) => session_key.clone(),
            None => {
                let ssh = credentials
                    .ssh
                    .ok_or(PollError::Unfit("no ssh key is configured"))?;
                let session_key = Arc::new(SessionKey::of(&self.address, ssh)?);
                self.session_key = Some(session_key.clone());
                session_key
            }
        };
        let (polled, session) = match self.poll_kept(&session_key, known).await? {
            Some(done) => done,
            None => {
                let session = Aged::new(session_key.open(&*self.network).await?);
                (self.list(&session.connection, known).await?, session)
            }
        };
        // After a change git gets the session for its fetch.
        if self.is_keeping || polled.answer == Answer::Different {
            KEPT.keep(session_key, session);
        } else {
            let bye = Disconnect::ByApplication;
            session.connection.disconnect(bye, "", "").await?;
        }
        Ok(polled)
    }

    /// Polls on a kept session; `None` if there is none that works.
    async fn poll_kept(
        &self,
        session_key: &Arc<SessionKey>,
        known: KnownRef<'_>,
    ) -> Result<Option<(PollResponse, Aged<Session>)>, PollError> {
        let Some(kept) = KEPT.take(session_key) else {
            return Ok(None);
        };
        match self.list(&kept.connection, known).await {
            Err(PollError::Ssh(error)) => {
                tracing::info!(v = 4, %error, "the idle ssh connection was closed");
                Ok(None)
            }
            polled => Ok(Some((polled?, kept))),
        }
    }

    /// Runs `git upload-pack` on the server once.
    async fn list(
        &self,
        session: &Session,
        known: KnownRef<'_>,
    ) -> Result<PollResponse, PollError> {
        let mut channel = session.channel_open_session().await?;
        // A server may refuse the variable; it then uses the older protocol.
        channel.set_env(false, "GIT_PROTOCOL", "version=2").await?;
        channel
            .exec(false, self.address.upload_pack_command())
            .await?;
        let mut packets = Packets::default();
        let mut search = Search::new(&self.rev, known);
        let mut greeted = Some(Handshake::new(search.clone()));
        let (answer, found) = loop {
            let data = match channel.wait().await {
                Some(ChannelMsg::Data { data }) => data,
                Some(_) => continue,
                None if session.is_closed() => {
                    return Err(PollError::Ssh(russh::Error::Disconnect));
                }
                None => return Err(PollError::Protocol(ProtocolError::Short)),
            };
            packets.push(&data)?;
            if let Some(greeting) = &mut greeted {
                match greeting.read(&mut packets)? {
                    None => continue,
                    Some(Greeting::Listed(answer)) => break (answer, greeting.found()),
                    Some(Greeting::Capabilities { object_format }) => {
                        let request = refs::request(&self.rev, object_format.as_deref());
                        channel.data_bytes(request).await?;
                        greeted = None;
                    }
                }
            }
            if let Some(answer) = refs::listed(&mut packets, &mut search)? {
                break (answer, search.found());
            }
        };
        // A flush packet ends the request, so that git on the server exits without an error.
        channel.data_bytes(&b"0000"[..]).await?;
        channel.close().await?;
        Ok(PollResponse {
            answer,
            found,
            received: packets.total(),
        })
    }
}

impl SessionKey {
    /// Reads the keys and the known hosts.
    fn of(address: &SshAddress, credentials: SshCredentials<'_>) -> Result<Self, PollError> {
        let ours = || -> Option<String> { Some(User::from_uid(Uid::effective()).ok()??.name) };
        let user = address.user.clone().or_else(ours);
        let user = user.ok_or(PollError::Unfit(
            "the address has no user name, and the syncer's user has no name",
        ))?;
        let keys = credentials.keys.iter().map(|path| private_key(path));
        let host_keys = match credentials.known_hosts {
            Some(path) if credentials.check => {
                let text = read(path)?;
                let keys = known_hosts::keys_of(&text, &address.host, address.port);
                let keys = keys.map_err(|_| {
                    PollError::Unfit(
                        "known_hosts has a line with a marker (@cert-authority or @revoked)",
                    )
                })?;
                if keys.is_empty() {
                    return Err(PollError::HostKey);
                }
                Some(keys)
            }
            None if credentials.check => {
                return Err(PollError::Unfit("no known_hosts file is configured"));
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

    async fn open(&self, network: &dyn Network) -> Result<Session, PollError> {
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
        let stream = connect::connect(network, &self.host, self.port).await?;
        let mut session = client::connect_stream(Arc::new(config), stream, guard)
            .await
            .map_err(|error| match error {
                russh::Error::UnknownKey => PollError::HostKey,
                error => PollError::Ssh(error),
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
        Err(PollError::Unfit("the server accepts none of the ssh keys"))
    }
}

/// The hash for signatures of an RSA key; SHA-1, the only one of some old servers, is left to ssh.
async fn rsa_hash(session: &Session) -> Result<HashAlg, PollError> {
    match session.best_supported_rsa_hash().await? {
        Some(Some(hash)) => Ok(hash),
        Some(None) => Err(PollError::Unfit("the server supports RSA only with SHA-1")),
        None => Ok(HashAlg::Sha512),
    }
}

fn private_key(path: &Path) -> Result<Arc<PrivateKey>, PollError> {
    let mut certificate = path.as_os_str().to_owned();
    certificate.push("-cert.pub");
    if Path::new(&certificate).exists() {
        return Err(PollError::Unfit("an ssh key has a certificate"));
    }
    let key = russh::keys::decode_secret_key(&read(path)?, None);
    // ssh skips a key that needs a passphrase, or tries it in forms that the poller does not
    // support.
    key.map(Arc::new)
        .map_err(|_| PollError::Unfit("an ssh key is encrypted or of an unsupported type"))
}

fn read(path: &Path) -> Result<String, PollError> {
    fs::read_to_string(path).map_err(|source| PollError::Read {
        path: path.display().to_string(),
        source,
    })
}

/// A handler that accepts only the known host keys.
pub(super) struct Guard {
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
