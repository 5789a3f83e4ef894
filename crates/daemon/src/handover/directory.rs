//! Directory of the hand-over: the Unix sockets of the active instance, accessible to our own user
//! only.

use std::fmt;
use std::fs::{self, Permissions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::unistd::geteuid;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio::time;
use tracing::{debug, warn};

/// The files in the directory.
pub(crate) const FILES: [&str; 4] = [
    SocketName::Handover.file(),
    SocketName::Handover.temporary(),
    SocketName::Control.file(),
    SocketName::Control.temporary(),
];
const OWNER_ONLY: u32 = 0o700;
/// Permissions of a socket: to connect, its owner needs to write.
const SOCKET_MODE: u32 = 0o600;
/// Octets of a socket's path (unix(7)), without the terminating NUL.
const MAX_PATH_LEN: usize = 107;

/// Before the next attempt to accept a connection after a failed one.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// A socket of the active instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SocketName {
    /// For a successor.
    Handover,
    /// For the subcommands that look into the instance.
    Control,
}

impl SocketName {
    pub(crate) const fn file(self) -> &'static str {
        match self {
            Self::Handover => "handover.sock",
            Self::Control => "control.sock",
        }
    }

    /// Its name until its permissions are set.
    const fn temporary(self) -> &'static str {
        match self {
            Self::Handover => ".handover.sock",
            Self::Control => ".control.sock",
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct SocketDirectory {
    path: PathBuf,
}

/// The socket file of an instance.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    inode: u64,
}

/// Why the directory cannot be used, with the remedy.
#[derive(Debug)]
pub(crate) enum DirectoryError {
    NotADirectory(PathBuf),
    Owner(PathBuf, u32),
    TooLong(PathBuf),
    Io(PathBuf, io::Error),
}

impl fmt::Display for DirectoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotADirectory(path) => write!(f, "{} is not a directory", path.display()),
            Self::Owner(path, owner) => write!(
                f,
                "{} belongs to the user {owner}, who could pose as a predecessor: chown it to {}, or name another \
                 directory with -handover-dir",
                path.display(),
                geteuid()
            ),
            Self::TooLong(path) => write!(
                f,
                "{} has more than {} octets, too many for the path of a socket",
                path.display(),
                MAX_PATH_LEN - SocketName::Handover.temporary().len() - 1
            ),
            Self::Io(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl SocketDirectory {
    /// Opens the directory and removes other users' permissions; nothing if it is absent, which
    /// means that no hand-over is configured.
    ///
    /// # Errors
    /// What is there cannot be used.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>, DirectoryError> {
        let failed = |error| DirectoryError::Io(path.to_owned(), error);
        let found = match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            found => found.map_err(failed)?,
        };
        if !found.is_dir() {
            return Err(DirectoryError::NotADirectory(path.to_owned()));
        }
        if found.uid() != geteuid().as_raw() {
            return Err(DirectoryError::Owner(path.to_owned(), found.uid()));
        }
        if path.join(SocketName::Handover.temporary()).as_os_str().len() > MAX_PATH_LEN {
            return Err(DirectoryError::TooLong(path.to_owned()));
        }
        fs::set_permissions(path, Permissions::from_mode(OWNER_ONLY)).map_err(failed)?;
        Ok(Some(Self { path: path.to_owned() }))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Connects to a socket of the active instance; nothing if there is none, whatever else has its
    /// name.
    ///
    /// # Errors
    /// The listener runs as another user, or does not accept connections.
    pub(crate) async fn connect(&self, name: SocketName) -> io::Result<Option<UnixStream>> {
        let stream = match UnixStream::connect(self.path.join(name.file())).await {
            Err(error) if no_listener(&error) => return Ok(None),
            stream => stream?,
        };
        check_peer(&stream)?;
        Ok(Some(stream))
    }

    /// Binds a socket of the active instance, in place of whatever has its name.
    pub(crate) fn bind(&self, name: SocketName) -> io::Result<(UnixListener, SocketFile)> {
        let (temporary, path) = (self.path.join(name.temporary()), self.path.join(name.file()));
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&temporary)?;
        fs::set_permissions(&temporary, Permissions::from_mode(SOCKET_MODE))?;
        let inode = fs::symlink_metadata(&temporary)?.ino();
        if let Err(error) = fs::rename(&temporary, &path) {
            // The reason that matters is why it cannot be renamed.
            fs::remove_file(&temporary).ok();
            return Err(error);
        }
        Ok((listener, SocketFile { path, inode }))
    }
}

impl SocketFile {
    /// False if the file was removed, or replaced by another instance.
    pub(crate) fn exists(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode)
    }

    /// Removes the file unless another instance has replaced it.
    pub(crate) fn remove(&self) -> io::Result<()> {
        match fs::symlink_metadata(&self.path) {
            Ok(found) if found.ino() == self.inode => fs::remove_file(&self.path),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// True if no instance listens: no file, the file of one that crashed, or something that is not a
/// stream socket.
fn no_listener(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, NotFound};
    let is_no_stream_socket = |errno| matches!(Errno::from_raw(errno), Errno::EPROTOTYPE | Errno::ELOOP);
    matches!(error.kind(), NotFound | ConnectionRefused)
        || error.raw_os_error().is_some_and(is_no_stream_socket)
}

/// Rejects a peer of another user, which the permissions of the directory should prevent;
/// returns the peer's process ID if it is in our PID namespace.
pub(super) fn check_peer(stream: &UnixStream) -> io::Result<Option<u32>> {
    let peer = linux::scm_rights::peer_credentials(stream.as_fd())?;
    if peer.uid == geteuid().as_raw() {
        return Ok(peer.pid);
    }
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!("the peer runs as user {}, not {}", peer.uid, geteuid()),
    ))
}

/// Accepts connections of peers that run as our own user, at most `limit` at a time, and passes each to
/// `handle`; `purpose` is for the log.
pub(crate) async fn accept_peers<F: Future<Output = ()> + 'static>(
    listener: UnixListener,
    (purpose, limit): (&'static str, usize),
    handle: impl Fn(UnixStream) -> F,
) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept(), if connections.len() < limit => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted.map(|(stream, _)| (check_peer(&stream), stream)) {
            Ok((Ok(_), stream)) => {
                connections.spawn_local(handle(stream));
            }
            Ok((Err(error), _)) => warn!("{purpose} connection rejected: {error}"),
            Err(error) => {
                debug!(%error, "no {purpose} connection can be accepted");
                time::sleep(ACCEPT_RETRY_DELAY).await;
            }
        }
    }
}
