//! The socket: who may connect, how many at once, and an end without a reply cut short.
//!
//! A thread a connection. The socket is for this user alone: its mode says so, and each peer's
//! user id is asked of the kernel, because the mode of a socket is set only after it exists.

use std::collections::BTreeMap;
use std::io;
use std::net::Shutdown;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use hsm::{Connect, SoftToken, Stream};
use rustix::process::Uid;

use crate::session::Desk;
use crate::{Fault, Model};

/// Connections at once; a further one is closed unanswered. A client's pool takes 8.
const CONNECTIONS_MAX: usize = 64;

/// How long a client may leave a reply unread before it is cut off. Bounds a stop, too.
const READ_WITHIN: Duration = Duration::from_secs(5);

/// How long to wait after the system refused a connection (no descriptors) before the next try.
const BREATHE: Duration = Duration::from_millis(100);

/// Why a socket cannot be served on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Somebody answers there.
    #[error("another token is served on {0}: stop it, or choose another --socket")]
    InUse(PathBuf),
    /// A file that is no socket is not replaced.
    #[error("{0} is there and is no socket: choose another --socket")]
    NotASocket(PathBuf),
    /// The system says no.
    #[error(
        "cannot serve on {path}: choose a --socket in a folder of your own, shorter than 100 bytes"
    )]
    Socket {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

/// A token that is about to be served on a socket. Connections wait until [`Server::spawn`].
pub struct Server {
    listener: UnixListener,
    room: Arc<Room>,
}

/// What the accepting thread and the handle share.
struct Room {
    desk: Desk,
    socket: PathBuf,
    /// Tells our socket from one that another server put in its place.
    inode: (u64, u64),
    owner: Uid,
    /// The open connections by number, for shutting them down. Locked before `desk` is asked
    /// whether it is closed, so that none slips in while it closes.
    connections: Mutex<BTreeMap<u64, UnixStream>>,
}

impl Server {
    /// Takes the socket, replacing one that a crash left behind.
    ///
    /// # Errors
    ///
    /// [`ServeError`] by what is in the way.
    pub fn bind(socket: &Path, token: Arc<SoftToken>) -> Result<Server, ServeError> {
        Server::bind_as(socket, token, Model::default())
    }

    /// The same for a token of a certain kind.
    ///
    /// # Errors
    ///
    /// As [`Server::bind`].
    pub fn bind_as(
        socket: &Path,
        token: Arc<SoftToken>,
        model: Model,
    ) -> Result<Server, ServeError> {
        let refused = |source| ServeError::Socket {
            path: socket.to_owned(),
            source,
        };
        let listener = match UnixListener::bind(socket) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                clear_stale(socket)?;
                UnixListener::bind(socket)
            }
            other => other,
        }
        .map_err(refused)?;
        std::fs::set_permissions(socket, PermissionsExt::from_mode(0o600)).map_err(refused)?;
        let room = Room {
            desk: Desk::new(token, model),
            socket: socket.to_owned(),
            inode: inode(socket).map_err(refused)?,
            owner: rustix::process::geteuid(),
            connections: Mutex::new(BTreeMap::new()),
        };
        Ok(Server {
            listener,
            room: Arc::new(room),
        })
    }

    /// Begins to answer, on threads of its own.
    ///
    /// # Errors
    ///
    /// [`ServeError::Socket`] when the system gives no thread.
    pub fn spawn(self) -> Result<Handle, ServeError> {
        let Server { listener, room } = self;
        let listener = Arc::new(listener);
        let (ours, its) = (room.clone(), listener.clone());
        let accepting = std::thread::Builder::new()
            .name("hsm-sim accept".to_owned())
            .spawn(move || accept(&ours, &its))
            .map_err(|source| ServeError::Socket {
                path: room.socket.clone(),
                source,
            })?;
        Ok(Handle {
            room,
            listener,
            accepting: Some(accepting),
        })
    }
}

/// A token that is being served. Stops when dropped.
pub struct Handle {
    room: Arc<Room>,
    listener: Arc<UnixListener>,
    /// Taken when it was joined.
    accepting: Option<JoinHandle<()>>,
}

impl Handle {
    /// Where it is served.
    pub fn socket(&self) -> &Path {
        &self.room.socket
    }

    /// The fault that is on.
    pub fn fault(&self) -> Fault {
        self.room.desk.fault()
    }

    /// Commands answered since the start.
    pub fn commands(&self) -> u64 {
        self.room.desk.commands()
    }

    /// Switches the fault, also for connections that are open.
    pub fn set_fault(&self, fault: Fault) {
        self.room.desk.set_fault(fault);
    }

    /// Finishes the commands in hand, hangs up and removes the socket.
    pub fn stop(self) {
        drop(self);
    }

    fn end(&mut self) {
        self.room.desk.close();
        // On Linux this wakes a blocked accept with an error, and refuses who comes later.
        let _ = rustix::net::shutdown(&*self.listener, rustix::net::Shutdown::Both);
        for connection in self.room.connections().values() {
            // Only the reading side: a reply in hand is still written.
            let _ = connection.shutdown(Shutdown::Read);
        }
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
        if inode(&self.room.socket).is_ok_and(|inode| inode == self.room.inode) {
            let _ = std::fs::remove_file(&self.room.socket);
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.end();
    }
}

impl Room {
    fn connections(&self) -> MutexGuard<'_, BTreeMap<u64, UnixStream>> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a peer in, or says why not.
    fn admit(&self, number: u64, stream: &UnixStream) -> Result<(), String> {
        let peer = rustix::net::sockopt::socket_peercred(stream).map_err(|e| e.to_string())?;
        if peer.uid != self.owner {
            return Err(format!("the peer is user {}", peer.uid.as_raw()));
        }
        stream
            .set_write_timeout(Some(READ_WITHIN))
            .map_err(|e| e.to_string())?;
        let copy = stream.try_clone().map_err(|e| e.to_string())?;
        let mut connections = self.connections();
        if self.desk.is_closed() {
            return Err("stopping".to_owned());
        }
        if connections.len() >= CONNECTIONS_MAX {
            return Err(format!("{CONNECTIONS_MAX} connections are open"));
        }
        connections.insert(number, copy);
        Ok(())
    }

    /// One connection from its first byte to its last.
    fn attend(&self, number: u64, mut stream: UnixStream) {
        if let Err(error) = self.desk.serve(number, &mut stream) {
            tracing::warn!(connection = number, %error, "connection broke");
        }
        self.connections().remove(&number);
        // The copy above is closed with the stream: the client sees the end now.
    }
}

/// Accepts until the handle stops it, then waits for the sessions to end.
fn accept(room: &Room, listener: &UnixListener) {
    std::thread::scope(|scope| {
        for number in 0.. {
            let stream = match listener.accept() {
                _ if room.desk.is_closed() => return,
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "no connection accepted");
                    std::thread::sleep(BREATHE);
                    continue;
                }
            };
            if let Err(reason) = room.admit(number, &stream) {
                tracing::warn!(connection = number, reason, "connection refused");
                continue;
            }
            let session = std::thread::Builder::new()
                .name(format!("hsm-sim {number}"))
                .spawn_scoped(scope, move || room.attend(number, stream));
            if let Err(error) = session {
                room.connections().remove(&number);
                tracing::warn!(%error, "no thread for a connection");
            }
        }
    });
}

/// Removes the socket of a server that is no more.
fn clear_stale(socket: &Path) -> Result<(), ServeError> {
    let refused = |source| ServeError::Socket {
        path: socket.to_owned(),
        source,
    };
    let is_socket = std::fs::symlink_metadata(socket)
        .map_err(refused)?
        .file_type()
        .is_socket();
    if !is_socket {
        return Err(ServeError::NotASocket(socket.to_owned()));
    }
    match UnixStream::connect(socket) {
        Ok(_) => Err(ServeError::InUse(socket.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(socket).map_err(refused)
        }
        Err(error) => Err(refused(error)),
    }
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    std::fs::symlink_metadata(path).map(|it| (it.dev(), it.ino()))
}

/// Connects a [`hsm::RemoteToken`] to a token on this machine. No read or write of it takes
/// longer than `within`.
pub fn connector(socket: &Path, within: Duration) -> Connect {
    let socket = socket.to_owned();
    Box::new(move || {
        let stream = UnixStream::connect(&socket)?;
        stream.set_read_timeout(Some(within))?;
        stream.set_write_timeout(Some(within))?;
        Ok(Box::new(stream) as Box<dyn Stream>)
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::open_or_create;

    fn server() -> (tempfile::TempDir, Server) {
        let folder = tempfile::tempdir().unwrap();
        let token = open_or_create(&folder.path().join("token"), None)
            .unwrap()
            .token;
        let server = Server::bind(&folder.path().join("socket"), token).unwrap();
        (folder, server)
    }

    /// The end of the stream, or a reset: both say that nobody answers.
    fn is_hung_up(mut stream: UnixStream) -> bool {
        !matches!(stream.read(&mut [0; 1]), Ok(1..))
    }

    #[test]
    fn another_user_is_hung_up_on() {
        let (_folder, mut server) = server();
        let other = Uid::from_raw(server.room.owner.as_raw() + 1);
        Arc::get_mut(&mut server.room).unwrap().owner = other;
        let handle = server.spawn().unwrap();
        assert!(is_hung_up(UnixStream::connect(handle.socket()).unwrap()));
        assert!(handle.room.connections().is_empty());
    }

    #[test]
    fn connections_are_bounded_and_free_again() {
        let (_folder, server) = server();
        let handle = server.spawn().unwrap();
        let mut open: Vec<_> = (0..CONNECTIONS_MAX)
            .map(|_| UnixStream::connect(handle.socket()).unwrap())
            .collect();
        assert!(is_hung_up(UnixStream::connect(handle.socket()).unwrap()));
        // One goes; the server sees its end after a while.
        open.pop();
        while handle.room.connections().len() == CONNECTIONS_MAX {
            std::thread::yield_now();
        }
        let next = UnixStream::connect(handle.socket()).unwrap();
        while handle.room.connections().len() < CONNECTIONS_MAX {
            std::thread::yield_now();
        }
        handle.stop();
        assert!(is_hung_up(next));
        assert!(open.into_iter().all(is_hung_up));
    }

    #[test]
    fn a_socket_is_taken_from_the_dead_only() {
        let (folder, server) = server();
        let socket = folder.path().join("socket");
        assert_eq!(
            socket.metadata().unwrap().permissions().mode() & 0o777,
            0o600
        );
        let token = open_or_create(&folder.path().join("second"), None)
            .unwrap()
            .token;
        let bind = |name: &str| Server::bind(&folder.path().join(name), token.clone());

        assert!(matches!(bind("socket"), Err(ServeError::InUse(_))));
        drop(server); // as a crash does: the socket stays, nobody listens
        assert!(socket.exists());
        bind("socket").unwrap().spawn().unwrap().stop();
        assert!(!socket.exists());

        assert!(matches!(bind("token"), Err(ServeError::NotASocket(_))));
        assert!(folder.path().join("token").exists());
        assert!(matches!(
            bind(&"x".repeat(200)),
            Err(ServeError::Socket { .. })
        ));
    }
}
