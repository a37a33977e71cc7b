//! What the module knows of its one application: whether it is logged in, and its sessions.
//!
//! Each session has a connection of its own to the simulator, logged in when it is first used, so
//! that sessions wait for the token side by side. A connection that breaks takes the login and all
//! sessions with it, as a token that was pulled out does.

use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cryptoki_sys::*;
use hsm::message::v1::request::Command;
use hsm::message::v1::response::Outcome;
use hsm::message::{self, v1};
use zeroize::Zeroizing;

/// Where the simulator's socket is. Its place is no secret.
const SOCKET: &str = "BIRTHMARK_HSM_SIM_SOCKET";

/// No command of the simulator takes longer, unless it is to be taken for gone.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The most sessions at once, below the simulator's own bound on connections.
pub(crate) const SESSIONS_MAX: usize = 48;

pub(crate) type Answer<T> = Result<T, CK_RV>;

/// The application, once it has initialised the module.
static APPLICATION: Mutex<Option<Application>> = Mutex::new(None);

pub(crate) struct Application {
    socket: PathBuf,
    sessions: BTreeMap<CK_SESSION_HANDLE, Arc<Mutex<Session>>>,
    /// The newest handle; never given out twice.
    newest: CK_SESSION_HANDLE,
    /// Set while logged in: further sessions log their connections in with it.
    pin: Option<Arc<Zeroizing<Vec<u8>>>>,
    /// Origins of the logs whose marks were looked for: the handles of data objects.
    pub(crate) logs: Vec<String>,
}

/// One session: what it is in the middle of.
#[derive(Default)]
pub(crate) struct Session {
    stream: Option<UnixStream>,
    /// Objects still to be given out, last first.
    pub(crate) found: Option<Vec<CK_OBJECT_HANDLE>>,
    pub(crate) act: Option<Act>,
}

/// What was begun and waits for its data.
#[derive(Clone)]
pub(crate) enum Act {
    Sign(hsm::Key),
    Encrypt(hsm::Key, Gcm),
    Decrypt(hsm::Key, Gcm),
}

/// Parameters of AES-GCM.
#[derive(Clone)]
pub(crate) struct Gcm {
    pub(crate) nonce: Vec<u8>,
    pub(crate) aad: Vec<u8>,
}

fn state() -> MutexGuard<'static, Option<Application>> {
    APPLICATION.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn initialize() -> Answer<()> {
    if state().is_some() {
        return Err(CKR_CRYPTOKI_ALREADY_INITIALIZED);
    }
    let socket = std::env::var_os(SOCKET).ok_or(CKR_GENERAL_ERROR)?;
    initialize_at(socket.into())
}

/// The same for a socket that is known.
pub(crate) fn initialize_at(socket: PathBuf) -> Answer<()> {
    let mut state = state();
    if state.is_some() {
        return Err(CKR_CRYPTOKI_ALREADY_INITIALIZED);
    }
    *state = Some(Application {
        socket,
        sessions: BTreeMap::new(),
        newest: 0,
        pin: None,
        logs: Vec::new(),
    });
    Ok(())
}

pub(crate) fn finalize() -> Answer<()> {
    state().take().map(drop).ok_or(CKR_CRYPTOKI_NOT_INITIALIZED)
}

/// Lends the application to `look`, which must not wait.
pub(crate) fn with<T>(look: impl FnOnce(&mut Application) -> Answer<T>) -> Answer<T> {
    look(state().as_mut().ok_or(CKR_CRYPTOKI_NOT_INITIALIZED)?)
}

/// What the token says of itself; needs no login. `CKR_TOKEN_NOT_PRESENT` when it is not there.
pub(crate) fn describe() -> Answer<v1::Description> {
    let socket = with(|application| Ok(application.socket.clone()))?;
    let mut stream = connect(&socket)?;
    let asked = exchange(&mut stream, Command::Describe(v1::Describe {}));
    match asked.map_err(|()| CKR_TOKEN_NOT_PRESENT)? {
        Outcome::Description(about) => Ok(about),
        _ => Err(CKR_TOKEN_NOT_PRESENT),
    }
}

pub(crate) fn open_session() -> Answer<CK_SESSION_HANDLE> {
    with(|application| {
        if application.sessions.len() >= SESSIONS_MAX {
            return Err(CKR_SESSION_COUNT);
        }
        application.newest += 1;
        let handle = application.newest;
        application.sessions.insert(handle, Arc::default());
        Ok(handle)
    })
}

pub(crate) fn close_session(handle: CK_SESSION_HANDLE) -> Answer<()> {
    with(|application| {
        application
            .sessions
            .remove(&handle)
            .ok_or(CKR_SESSION_HANDLE_INVALID)?;
        if application.sessions.is_empty() {
            application.pin = None; // the standard's rule: the last one logs out
        }
        Ok(())
    })
}

pub(crate) fn close_all() -> Answer<()> {
    with(|application| {
        application.sessions.clear();
        application.pin = None;
        Ok(())
    })
}

/// Lends a session to `act`, which may wait for the token.
pub(crate) fn session<T>(
    handle: CK_SESSION_HANDLE,
    act: impl FnOnce(&mut Session) -> Answer<T>,
) -> Answer<T> {
    let known = with(|application| {
        let session = application.sessions.get(&handle).cloned();
        session.ok_or(CKR_SESSION_HANDLE_INVALID)
    })?;
    // Two threads on one session take turns; the standard forbids them to come at once.
    let mut session = known.lock().unwrap_or_else(PoisonError::into_inner);
    act(&mut session)
}

pub(crate) fn is_logged_in() -> Answer<bool> {
    with(|application| Ok(application.pin.is_some()))
}

pub(crate) fn login(handle: CK_SESSION_HANDLE, pin: &[u8]) -> Answer<()> {
    if is_logged_in()? {
        return Err(CKR_USER_ALREADY_LOGGED_IN);
    }
    let pin = Arc::new(Zeroizing::new(pin.to_vec()));
    session(handle, |session| session.connect(&pin))?;
    with(|application| {
        application.pin = Some(pin);
        Ok(())
    })
}

pub(crate) fn logout() -> Answer<()> {
    with(|application| {
        application.pin.take().ok_or(CKR_USER_NOT_LOGGED_IN)?;
        // Their connections are logged in on their own.
        for session in application.sessions.values() {
            if let Ok(mut session) = session.try_lock() {
                *session = Session::default();
            }
        }
        Ok(())
    })
}

/// The token is gone: nobody is logged in, and no session is any more.
fn lost() -> CK_RV {
    let _ = close_all();
    CKR_DEVICE_REMOVED
}

impl Session {
    fn connect(&mut self, pin: &[u8]) -> Answer<()> {
        let socket = with(|application| Ok(application.socket.clone()))?;
        let mut stream = connect(&socket)?;
        let login = v1::Login { pin: pin.to_vec() };
        match exchange(&mut stream, Command::Login(login)).map_err(|()| CKR_DEVICE_REMOVED)? {
            Outcome::Done(_) => {
                self.stream = Some(stream);
                Ok(())
            }
            Outcome::Failure(failure) => Err(meaning(&failure)),
            _ => Err(CKR_DEVICE_ERROR),
        }
    }

    /// One command behind the login.
    pub(crate) fn ask(&mut self, command: Command) -> Answer<Outcome> {
        let pin = with(|application| application.pin.clone().ok_or(CKR_USER_NOT_LOGGED_IN))?;
        if self.stream.is_none() {
            self.connect(&pin).map_err(|error| match error {
                CKR_TOKEN_NOT_PRESENT | CKR_DEVICE_REMOVED => lost(),
                other => other,
            })?;
        }
        let stream = self.stream.as_mut().ok_or(CKR_DEVICE_ERROR)?;
        match exchange(stream, command) {
            Err(()) => {
                self.stream = None;
                Err(lost())
            }
            Ok(Outcome::Failure(failure)) => {
                let why = meaning(&failure);
                if why == CKR_USER_NOT_LOGGED_IN {
                    self.stream = None;
                    lost();
                }
                Err(why)
            }
            Ok(outcome) => Ok(outcome),
        }
    }

    /// One that is answered by bytes.
    pub(crate) fn bytes(&mut self, command: Command) -> Answer<Zeroizing<Vec<u8>>> {
        match self.ask(command)? {
            Outcome::Done(bytes) => Ok(Zeroizing::new(bytes)),
            _ => Err(CKR_DEVICE_ERROR),
        }
    }
}

fn connect(socket: &std::path::Path) -> Answer<UnixStream> {
    #[cfg(any(test, feature = "harness"))]
    if let Some(stream) = crate::harness::stream() {
        return Ok(stream);
    }
    let stream = UnixStream::connect(socket).map_err(|_| CKR_TOKEN_NOT_PRESENT)?;
    let bounded = stream
        .set_read_timeout(Some(ANSWER_WITHIN))
        .and_then(|()| stream.set_write_timeout(Some(ANSWER_WITHIN)));
    bounded.map_err(|_| CKR_GENERAL_ERROR)?;
    Ok(stream)
}

fn exchange(stream: &mut UnixStream, command: Command) -> Result<Outcome, ()> {
    let request = v1::Request {
        command: Some(command),
    };
    message::write(stream, &request).map_err(drop)?;
    let response: Option<v1::Response> = message::read(stream).map_err(drop)?;
    response.and_then(|response| response.outcome).ok_or(())
}

/// A failure of the simulator in the standard's terms.
fn meaning(failure: &v1::Failure) -> CK_RV {
    use v1::Code;
    match failure.code() {
        Code::NotLoggedIn => CKR_USER_NOT_LOGGED_IN,
        Code::WrongPin => CKR_PIN_INCORRECT,
        Code::PinLocked => CKR_PIN_LOCKED,
        Code::NoSuchKey => CKR_KEY_HANDLE_INVALID,
        Code::WrongKeyKind => CKR_KEY_TYPE_INCONSISTENT,
        Code::TooLong => CKR_DATA_LEN_RANGE,
        Code::Refused => CKR_FUNCTION_REJECTED,
        Code::TooManySessions => CKR_SESSION_COUNT,
        Code::Unavailable | Code::Unspecified => CKR_DEVICE_ERROR,
    }
}
