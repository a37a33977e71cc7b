//! The running server: opens the site, listens, answers, and ends without losing a call.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use api::v1::administration_server::AdministrationServer;
use api::v1::audit_server::AuditServer;
use api::v1::enrolment_server::EnrolmentServer;
use api::v1::provisioning_server::ProvisioningServer;
use hsm::Hsm;
use ledger::{Ledger, Reader, Writer};
use thiserror::Error;
use tlog::{LogKeys, VerifierKey};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio_rustls::TlsAcceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;
use traveler::KeyId;

use crate::auth::{Group, only};
use crate::authority::{Authority, AuthorityError};
use crate::backwards::{self, Backwards};
use crate::breaker::Breaker;
use crate::chores;
use crate::config::{Config, ConfigError, HsmPlace};
use crate::connections::accept;
use crate::keys::{self, KeysError, LogKey, Turned};
use crate::line::{Line, Parts, fingerprint_key_id};
use crate::recover;
use crate::services::Services;
use crate::site::{self, Site, SiteError};
use crate::tls::{ServerCertificate, TlsError, server_config};

/// How long calls that are under way may take to finish when the server is told to stop.
const FINISH_WITHIN: Duration = Duration::from_secs(20);

/// Calls at once on one connection; a station has one for each slot.
const STREAMS: u32 = 128;

/// No call takes longer: an fsync and a few HSM commands.
const CALL_WITHIN: Duration = Duration::from_secs(30);

/// The longest message a stranger may send, in bytes: a token and a request of at most 4,096.
const ENROL_MAX: usize = 16_384;

/// Why the server does not run.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file of the data directory cannot be used.
    #[error(transparent)]
    Site(#[from] SiteError),
    /// The keys cannot be had.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The certificates cannot be had, or are another server's.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The token holds another log key than the data directory or the log in it names.
    #[error(
        "the token's log key is not the one of this data directory and its log: one of them \
         belongs to another server; restore it, or name the right --data and --hsm"
    )]
    ForeignLog,
    /// The token fingerprints with another key than the log's passwords were.
    #[error(
        "the token's fingerprint key is {given}, this log's passwords were fingerprinted with \
         {expected}: no duplicate would be seen. The fingerprint key is never rotated: put the \
         token with the right key back, or start a new site"
    )]
    ForeignFingerprintKey {
        /// The key that the log names.
        expected: KeyId,
        /// The token's.
        given: KeyId,
    },
    /// `recover` broke off: the log is shorter than what was signed, and what says so is aside.
    #[error("`provisioner recover` broke off and the log is not whole yet: run it again")]
    Recovering,
    /// The database is older than what the token saw signed.
    #[error(
        "the token saw a log of {kept} entries and this one has {entries}: it was restored from an \
         older backup, and issuing from it could give a secret twice; put the newest data back, or \
         run `provisioner recover` with the newest export and with what each station hands over \
         (`station-cli sync --export FILE`)"
    )]
    RolledBack {
        /// Entries that the token saw.
        kept: u64,
        /// Entries that the log has.
        entries: u64,
    },
    /// Somebody remembers a log that this one does not go on from.
    #[error(
        "a log of {remembered} entries is remembered and this one does not go on from it: an older \
         copy was put back; let each station hand over what it has (`station-cli sync --export \
         FILE`), then run `provisioner recover --journal FILE`"
    )]
    Locked {
        /// Entries of the log that is remembered.
        remembered: u64,
    },
    /// The ledger cannot be opened.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: choose another with --listen")]
    Listen {
        /// Which address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A thread of the server panicked: a defect, not a stop.
    #[error("the server failed inside: see its log, and start it again")]
    Inside,
    /// The listener failed while it ran.
    #[error("the listener failed")]
    Transport(#[from] tonic::transport::Error),
}

/// What to do with entries that no signed checkpoint covers when the server starts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tail {
    /// Do not start: they were written while the HSM was away, or by somebody else.
    Refuse,
    /// A person has looked at them: sign.
    Sign,
}

/// A server that answers until it is told to stop.
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: tokio::task::JoinHandle<Result<(), ServeError>>,
}

impl Running {
    /// Lets calls that are under way finish, writes what is queued, closes the ledger.
    ///
    /// # Errors
    /// [`ServeError`] when the listener had failed before.
    pub async fn stop(self) -> Result<(), ServeError> {
        let _ = self.stop.send(()); // gone already: the reason is in the result below
        self.served.await.unwrap_or(Err(ServeError::Inside))
    }

    /// Waits until the server ends by itself, which is a failure.
    ///
    /// # Errors
    /// [`ServeError`].
    pub async fn failed(&mut self) -> Result<(), ServeError> {
        (&mut self.served).await.unwrap_or(Err(ServeError::Inside))
    }
}

/// Opens the HSM of a site.
///
/// # Errors
/// [`ServeError`].
pub(crate) fn open_hsm(site: &Site, config: &Config) -> Result<Arc<dyn Hsm>, ServeError> {
    let place = HsmPlace::parse(&config.hsm, site.data())?;
    let source = config.pin_source(site.data())?;
    let pin = source.read().map_err(KeysError::Pin)?;
    Ok(keys::open(&place, pin, config.allow_simulated_hsm)?)
}

/// The log's key, when the token holds it.
///
/// # Errors
/// [`ServeError::ForeignLog`] when it does not.
pub(crate) fn log_key(
    vkey: &VerifierKey,
    hsm: &Arc<dyn Hsm>,
) -> Result<Turned<LogKey>, ServeError> {
    let found = LogKey::of(hsm, vkey).map_err(KeysError::Hsm)?;
    found.ok_or(ServeError::ForeignLog)
}

/// The token's fingerprint key is the one under which all history was compared.
///
/// # Errors
/// [`ServeError::ForeignFingerprintKey`] when it is not.
pub(crate) fn same_fingerprint_key(log: &Reader, hsm: &dyn Hsm) -> Result<(), ServeError> {
    let given = fingerprint_key_id(hsm).map_err(KeysError::Hsm)?;
    match log.log()?.map(|row| row.fingerprint_key) {
        Some(expected) if expected != given => {
            Err(ServeError::ForeignFingerprintKey { expected, given })
        }
        _ => Ok(()),
    }
}

/// The log is the one that the token and everybody else remembers; the name of the token's mark.
///
/// # Errors
/// [`ServeError`] when it is shorter or another one, or when `recover` is at work on it.
pub(crate) fn not_backwards(
    site: &Site,
    hsm: &dyn Hsm,
    reader: &Reader,
    keys: &LogKeys,
) -> Result<String, ServeError> {
    if site.data().join(recover::ASIDE).exists() {
        return Err(ServeError::Recovering);
    }
    let mark = recover::marks(hsm, reader, keys.newest().name())?;
    match backwards::locked(site, keys) {
        Some(seen) => Err(ServeError::Locked {
            remembered: seen.map_or(0, |seen| seen.size),
        }),
        None => Ok(mark),
    }
}

/// Opens the line of a site: HSM, certificates, ledger.
///
/// # Errors
/// [`ServeError`], before anything is listened on.
pub(crate) fn open_line(site: &Site, config: &Config, tail: Tail) -> Result<Line, ServeError> {
    if site.data().join(recover::ASIDE).exists() {
        return Err(ServeError::Recovering);
    }
    let breaker = Arc::new(Breaker::new(open_hsm(site, config)?));
    let hsm: Arc<dyn Hsm> = breaker.clone();
    let ledger = match tail {
        Tail::Refuse => Ledger::open(&site.ledger())?,
        Tail::Sign => Ledger::open_unsigned(&site.ledger())?,
    };
    let reader = ledger.reader()?;
    let authority = Authority::open(&hsm, site, reader.issuing_key()?.as_ref())?;
    let kept = site.vkey()?;
    // No append would pass: better said now than to the first station.
    if ledger.log_keys().hold(&kept).is_err() {
        return Err(ServeError::ForeignLog);
    }
    let vkey = ledger.vkey().clone();
    let signer = log_key(&vkey, &hsm)?.signer;
    if kept != vkey {
        site.put_vkey(&vkey)?; // a rotation was cut off behind its entry
    }
    same_fingerprint_key(&reader, &*hsm)?;
    let log_keys = ledger.log_keys().clone();
    let mark = not_backwards(site, &*hsm, &reader, &log_keys)?;
    let rotations = reader.rotations()?;
    drop(reader);
    let writer = Writer::spawn(ledger, Arc::new(signer));
    let station_certificate_hours = config.station_certificate_hours;
    let vkey = vkey.to_string();
    let parts = Parts {
        rotations,
        log_keys,
        breaker,
        authority,
        writer,
        vkey,
        station_certificate_hours,
        backwards: Backwards::of(site),
        mark,
    };
    Ok(Line::new(parts).map_err(KeysError::Hsm)?)
}

/// Starts to listen. The address in `DIR/listening` tells the site's own commands where.
///
/// # Errors
/// [`ServeError`].
pub async fn start(site: &Site, config: &Config, tail: Tail) -> Result<Running, ServeError> {
    let line = {
        let (site, config) = (site.clone(), config.clone());
        let opened = tokio::task::spawn_blocking(move || open_line(&site, &config, tail)).await;
        Arc::new(opened.unwrap_or(Err(ServeError::Inside))?)
    };
    let certificate = Arc::new(ServerCertificate::new(&line.authority)?);
    let tls = server_config(&line.authority, Arc::clone(&certificate))?;

    let address = config.listen;
    let listen = |source| ServeError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    site::replace(&site.listening(), format!("{address}\n").as_bytes())?;

    let (stop, stopped) = oneshot::channel();
    let served = tokio::spawn(serve(line, certificate, tls, listener, stopped));
    Ok(Running {
        address,
        stop,
        served,
    })
}

async fn serve(
    line: Arc<Line>,
    certificate: Arc<ServerCertificate>,
    tls: rustls::ServerConfig,
    listener: TcpListener,
    stopped: oneshot::Receiver<()>,
) -> Result<(), ServeError> {
    let (stop, stopping) = watch::channel(false);
    let connections = accept(listener, TlsAcceptor::from(Arc::new(tls)), stopping.clone());
    let (health_reporter, health) = tonic_health::server::health_reporter();
    let chores = tokio::spawn(chores::run(Arc::clone(&line), certificate, health_reporter));
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(api::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .expect("the descriptors are compiled in");

    let services = Services(Arc::clone(&line));
    let router = Server::builder()
        .http2_keepalive_interval(Some(Duration::from_secs(20)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
        .max_concurrent_streams(STREAMS)
        .timeout(CALL_WITHIN)
        .add_service(EnrolmentServer::new(services.clone()).max_decoding_message_size(ENROL_MAX))
        .add_service(ProvisioningServer::with_interceptor(
            services.clone(),
            only(Group::Stations),
        ))
        .add_service(AdministrationServer::with_interceptor(
            services.clone(),
            only(Group::Admins),
        ))
        .add_service(AuditServer::with_interceptor(
            services,
            only(Group::Readers),
        ))
        .add_service(InterceptedService::new(health, only(Group::Everybody)))
        .add_service(InterceptedService::new(reflection, only(Group::Everybody)));

    let mut until = stopping;
    let served = router.serve_with_incoming_shutdown(connections, async move {
        let _ = until.wait_for(|stop| *stop).await;
    });
    tokio::pin!(served);
    let outcome = tokio::select! {
        outcome = &mut served => outcome,
        _ = stopped => {
            let _ = stop.send(true);
            tokio::time::timeout(FINISH_WITHIN, served).await.unwrap_or(Ok(()))
        }
    };
    chores.abort();
    let _ = chores.await;
    // Blocking threads may still hold the line for their last call; the one that lets go closes.
    tokio::task::spawn_blocking(move || close(line)).await.ok();
    Ok(outcome?)
}

/// Waits for the last call to let go of the line, then closes the ledger.
fn close(mut line: Arc<Line>) {
    let give_up = std::time::Instant::now() + FINISH_WITHIN;
    loop {
        match Arc::try_unwrap(line) {
            Ok(alone) => {
                chores::raise_mark(&alone);
                return alone.close();
            }
            Err(shared) if std::time::Instant::now() < give_up => {
                line = shared;
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(_) => return, // the process ends; the ledger is as a power cut would leave it
        }
    }
}

/// Runs until `until` resolves, then stops in good order.
///
/// # Errors
/// [`ServeError`].
pub async fn run(mut running: Running, until: impl Future<Output = ()>) -> Result<(), ServeError> {
    tokio::select! {
        outcome = running.failed() => return outcome,
        () = until => {}
    }
    tracing::info!("stopping: calls under way may finish");
    running.stop().await
}
