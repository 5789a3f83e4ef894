//! The directory of the hand-over: a socket where the instance in service can be met, for nobody but our own user.

use std::fmt;
use std::fs::{self, Permissions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::geteuid;
use tokio::net::{UnixListener, UnixStream};

const SOCKET: &str = "handover.sock";
/// Where the socket is made before it gets its name, so that nobody meets it with other permissions.
const UNNAMED: &str = ".handover.sock";
const OURS_ONLY: u32 = 0o700;
/// Octets of a path that a socket can have (unix(7)), without the NUL at its end.
const MOST_PATH: usize = 107;

/// The directory.
#[derive(Clone, Debug)]
pub(crate) struct SocketDirectory {
    directory: PathBuf,
}

/// The socket file that an instance has made.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    inode: u64,
}

/// Why the directory cannot be used. Each text says what to do.
#[derive(Debug)]
pub(crate) enum DirectoryError {
    NoDirectory(PathBuf),
    Foreign(PathBuf, u32),
    TooLong(PathBuf),
    Io(PathBuf, io::Error),
}

impl fmt::Display for DirectoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDirectory(path) => write!(f, "{} is no directory", path.display()),
            Self::Foreign(path, owner) => write!(
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
                MOST_PATH - UNNAMED.len() - 1
            ),
            Self::Io(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl SocketDirectory {
    /// The directory, closed to other users; nothing when it is not there, which means that no hand-over is wanted.
    ///
    /// # Errors
    /// When something is there that cannot be used.
    pub(crate) fn open(directory: &Path) -> Result<Option<Self>, DirectoryError> {
        let failed = |error| DirectoryError::Io(directory.to_owned(), error);
        let found = match fs::symlink_metadata(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            found => found.map_err(failed)?,
        };
        if !found.is_dir() {
            return Err(DirectoryError::NoDirectory(directory.to_owned()));
        }
        if found.uid() != geteuid().as_raw() {
            return Err(DirectoryError::Foreign(directory.to_owned(), found.uid()));
        }
        if directory.join(UNNAMED).as_os_str().len() > MOST_PATH {
            return Err(DirectoryError::TooLong(directory.to_owned()));
        }
        fs::set_permissions(directory, Permissions::from_mode(OURS_ONLY)).map_err(failed)?;
        Ok(Some(Self { directory: directory.to_owned() }))
    }

    /// The directory itself.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// A connection to the instance that can be met here; nothing when there is none, whatever lies in its place.
    ///
    /// # Errors
    /// When somebody is there who is not our user, or who takes no connections.
    pub(super) async fn connect(&self) -> io::Result<Option<UnixStream>> {
        let stream = match UnixStream::connect(self.directory.join(SOCKET)).await {
            Err(error) if is_nobody(&error) => return Ok(None),
            stream => stream?,
        };
        check(&stream)?;
        Ok(Some(stream))
    }

    /// Makes the socket where we can be met, in place of whatever is there.
    pub(super) fn bind(&self) -> io::Result<(UnixListener, SocketFile)> {
        let (unnamed, path) = (self.directory.join(UNNAMED), self.directory.join(SOCKET));
        match fs::remove_file(&unnamed) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&unnamed)?;
        fs::set_permissions(&unnamed, Permissions::from_mode(OURS_ONLY))?;
        let inode = fs::symlink_metadata(&unnamed)?.ino();
        if let Err(error) = fs::rename(&unnamed, &path) {
            // What keeps it from its name is to be told; this would be tried again and again.
            fs::remove_file(&unnamed).unwrap_or_default();
            return Err(error);
        }
        Ok((listener, SocketFile { path, inode }))
    }
}

impl SocketFile {
    /// False when it is another's by now, or nobody's.
    pub(super) fn is_there(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode)
    }

    /// Removes the file unless it is another's by now.
    pub(super) fn remove(&self) -> io::Result<()> {
        match fs::symlink_metadata(&self.path) {
            Ok(found) if found.ino() == self.inode => fs::remove_file(&self.path),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// True when nobody listens: no file, the file of one who died, or something that is no socket.
fn is_nobody(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, NotFound};
    let is_no_stream_socket = |errno| matches!(Errno::from_raw(errno), Errno::EPROTOTYPE | Errno::ELOOP);
    matches!(error.kind(), NotFound | ConnectionRefused)
        || error.raw_os_error().is_some_and(is_no_stream_socket)
}

/// Who is not our user is not talked to: the permissions of the directory should have kept him out.
pub(super) fn check(stream: &UnixStream) -> io::Result<Option<u32>> {
    let peer = linux::scm_rights::peer_credentials(stream.as_fd())?;
    if peer.uid == geteuid().as_raw() {
        return Ok(peer.pid);
    }
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!("the other side is of the user {}, not {}", peer.uid, geteuid()),
    ))
}
