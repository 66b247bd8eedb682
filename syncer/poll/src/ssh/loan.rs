//! A session lent to git: git's own fetch runs over the session of the poll, and needs no
//! connection and no key exchange of its own.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use bytes::BytesMut;
use russh::Channel;
use russh::ChannelMsg;
use russh::client;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;

use crate::error::PollError;
use crate::packets::ProtocolError;
use crate::pool::Aged;
use crate::ssh::poller::KEPT;
use crate::ssh::poller::Session;
use crate::ssh::poller::SessionKey;
use crate::ssh::poller::SshRefPoller;

/// The size of the buffer for git's requests, in bytes.
const BUFFER: usize = 32 << 10;

/// The number of the standard error stream in a channel (RFC 4254, section 5.2).
const STDERR: u32 = 1;

/// The session of the last poll, until it is dropped; then the next poll has it again.
pub struct LentSession {
    key: Arc<SessionKey>,
    command: String,
    /// Whether polls keep sessions.
    is_keeping: bool,
    /// `None` while a command runs: a session whose command was aborted is not used again.
    session: Option<Aged<Session>>,
}

/// git's command on the server, which has sent its first bytes.
struct LentCommand {
    channel: Channel<client::Msg>,
    first: Bytes,
}

impl SshRefPoller {
    /// Lends the session of the last poll; `None` if it was not kept.
    pub fn lend(&self) -> Option<LentSession> {
        let key = self.session_key.clone()?;
        Some(LentSession {
            session: Some(KEPT.take(&key)?),
            key,
            command: self.address.upload_pack_command(),
            is_keeping: self.is_keeping,
        })
    }
}

impl LentSession {
    /// Runs git's `command` on the server, with this value of `GIT_PROTOCOL`, and connects its
    /// streams. `is_connected` is called with the server's first bytes, before any of them is
    /// written: on an error before that, nothing was read or written, and ssh can run instead.
    /// Returns the command's exit status.
    pub async fn run<I, O>(
        &mut self,
        command: &str,
        protocol: &str,
        streams: (I, O),
        errors: impl FnMut(&[u8]),
        is_connected: impl AsyncFnOnce() -> io::Result<()>,
    ) -> Result<u32, PollError>
    where
        I: AsyncRead + Unpin,
        O: AsyncWrite + Unpin,
    {
        if command != self.command {
            return Err(PollError::Unfit("it is not the poller's repository"));
        }
        let session = self.session.take();
        let session = session.ok_or(PollError::Ssh(russh::Error::Disconnect))?;
        let started = LentCommand::start(&session.connection, command, protocol).await?;
        is_connected().await.map_err(russh::Error::from)?;
        let status = started.connect(streams, errors).await?;
        self.session = Some(session);
        Ok(status)
    }
}

impl Drop for LentSession {
    fn drop(&mut self) {
        if let Some(session) = self.session.take().filter(|_| self.is_keeping) {
            KEPT.keep(self.key.clone(), session);
        }
    }
}

impl LentCommand {
    async fn start(session: &Session, command: &str, protocol: &str) -> Result<Self, PollError> {
        let mut channel = session.channel_open_session().await?;
        channel.set_env(false, "GIT_PROTOCOL", protocol).await?;
        channel.exec(false, command).await?;
        loop {
            match channel.wait().await {
                Some(ChannelMsg::Data { data }) => {
                    return Ok(Self {
                        channel,
                        first: data,
                    });
                }
                // ssh repeats the command and prints its words.
                None | Some(ChannelMsg::Eof | ChannelMsg::Close) => {
                    return Err(PollError::Protocol(ProtocolError::Short));
                }
                Some(_) => {}
            }
        }
    }

    async fn connect<I, O>(
        self,
        (mut input, mut output): (I, O),
        mut errors: impl FnMut(&[u8]),
    ) -> Result<u32, PollError>
    where
        I: AsyncRead + Unpin,
        O: AsyncWrite + Unpin,
    {
        let (mut reader, writer) = self.channel.split();
        let receive = async {
            let mut status = None;
            let io = |error: io::Error| PollError::Ssh(error.into());
            output.write_all(&self.first).await.map_err(io)?;
            loop {
                match reader.wait().await {
                    Some(ChannelMsg::Data { data }) => {
                        output.write_all(&data).await.map_err(io)?;
                    }
                    Some(ChannelMsg::ExtendedData { data, ext: STDERR }) => errors(&data),
                    Some(ChannelMsg::ExitStatus { exit_status }) => status = Some(exit_status),
                    Some(ChannelMsg::Close) => break,
                    Some(_) => {}
                    None => break,
                }
            }
            status.ok_or(PollError::Ssh(russh::Error::Disconnect))
        };
        let send = async {
            let mut buffer = BytesMut::with_capacity(BUFFER);
            loop {
                buffer.reserve(BUFFER);
                match input.read_buf(&mut buffer).await {
                    Ok(0) | Err(_) => break,
                    Ok(_) => writer.data_bytes(buffer.split().freeze()).await?,
                }
            }
            writer.eof().await
        };
        tokio::pin!(receive, send);
        tokio::select! {
            status = &mut receive => status,
            // The server ends the channel after git's last request; a failure to send shows there.
            _ = &mut send => receive.await,
        }
    }
}
