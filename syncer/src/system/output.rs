//! The output of programs that the syncer starts: read to the end, kept up to a limit.

use std::io;

use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;

/// Reads to the end and keeps the last `most` bytes, or slightly more.
pub(crate) async fn tail(
    pipe: Option<impl AsyncRead + Unpin>,
    most: usize,
    kept: &mut Vec<u8>,
) -> io::Result<()> {
    let Some(mut pipe) = pipe else {
        return Ok(());
    };
    while pipe.read_buf(kept).await? > 0 {
        if kept.len() > 2 * most {
            kept.drain(..kept.len() - most);
        }
    }
    Ok(())
}

/// The last `most` bytes of an output as text. A line whose start is lost is omitted: a part of a
/// secret could not be recognised.
pub(crate) fn text(bytes: &[u8], most: usize) -> String {
    let Some(start) = bytes.len().checked_sub(most).filter(|start| *start > 0) else {
        return String::from_utf8_lossy(bytes).into_owned();
    };
    let kept = &bytes[start..];
    let line = kept.iter().position(|byte| *byte == b'\n');
    let word = || kept.iter().position(u8::is_ascii_whitespace);
    let rest = line.or_else(word).map_or(kept, |end| &kept[end + 1..]);
    String::from_utf8_lossy(rest).into_owned()
}

/// Reads to the end; more than `most` bytes are an error of the kind `FileTooLarge`.
pub(crate) async fn whole(pipe: Option<impl AsyncRead + Unpin>, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(most + 1).read_to_end(&mut bytes).await?;
    }
    if bytes.len() as u64 > most {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

/// Writes all bytes and closes the pipe. A program that ends without reading them is no error: its
/// exit status has the reason.
pub(crate) async fn write(pipe: Option<impl AsyncWrite + Unpin>, bytes: Vec<u8>) -> io::Result<()> {
    let Some(mut pipe) = pipe else {
        return Ok(());
    };
    match pipe.write_all(&bytes).await {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_of_an_output_is_kept_from_the_beginning_of_a_line() {
        let written = "secret line\n".repeat(10_000);
        let mut kept = Vec::new();
        tail(Some(written.as_bytes()), 100, &mut kept)
            .await
            .unwrap();
        assert!(kept.len() <= 200, "{}", kept.len());
        assert_eq!(text(&kept, 100), "secret line\n".repeat(8));
        assert_eq!(text(b"short", 100), "short");
    }

    #[tokio::test]
    async fn more_than_the_limit_is_an_error() {
        assert_eq!(whole(Some(&b"12345"[..]), 5).await.unwrap(), b"12345");
        let error = whole(Some(&b"123456"[..]), 5).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }
}
