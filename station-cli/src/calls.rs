//! The few calls of a station, how they fail, and the one place where they are repeated.

use std::error::Error;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use api::v1::provisioning_client::ProvisioningClient;
use api::{InUse, MESSAGE_MAX, Reason, v1};
use thiserror::Error;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::connect::{self, Address, AddressError, Watch};
use crate::home::{Home, HomeError};
use crate::link::Known;
use crate::trust::{self, TrustError};

/// Why a call brought nothing.
#[derive(Debug, Error)]
pub enum CallError {
    /// The server says no, and will say so again.
    #[error("{message}")]
    Refused {
        /// What to switch on.
        reason: Reason,
        /// What the server says about it.
        message: String,
        /// Where the serial is that was asked for.
        in_use: Option<InUse>,
    },
    /// Nobody answers, or the server cannot do its work now. Whether the call took effect is not
    /// known, unless there is a reason.
    #[error("the server {}: {message}", if reason.is_some() { "cannot do it now" } else { "does not answer" })]
    Unavailable {
        /// What the server lacks, when it said so.
        reason: Option<Reason>,
        /// What went wrong last.
        message: String,
    },
    /// One end's certificate is not taken by the other.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// An answer no version of the server should give.
    #[error("the server answered {code:?}: {message}")]
    Unexpected {
        /// The gRPC code.
        code: Code,
        /// Its words.
        message: String,
    },
}

impl CallError {
    /// A refusal that was heard before and is passed on.
    pub(crate) fn refused(reason: Reason, message: String) -> CallError {
        CallError::Refused {
            reason,
            message,
            in_use: None,
        }
    }
}

impl From<Status> for CallError {
    fn from(status: Status) -> CallError {
        let message = status.message().to_owned();
        let reason = Reason::of(&status);
        // A status with a source was made at this end: the connection broke under the call.
        let broken = status.source().is_some() && reason.is_none();
        if status.code() == Code::Unavailable || broken {
            return CallError::Unavailable { reason, message };
        }
        match reason {
            Some(reason) => CallError::Refused {
                reason,
                message,
                in_use: InUse::of(&status),
            },
            None => CallError::Unexpected {
                code: status.code(),
                message,
            },
        }
    }
}

macro_rules! provisioning {
    ($($(#[$doc:meta])* $call:ident($request:ident) -> $reply:ident;)*) => {
        /// What a station asks of the server. Tests give an honest one in memory.
        ///
        /// Each call may be repeated: an issue by the same station for the same unit voids the one
        /// before it, unless the unit has shown that it holds that one; every other repeat answers
        /// the same.
        pub trait Provisioning: Sync {
            $(
                $(#[$doc])*
                fn $call(
                    &self,
                    request: v1::$request,
                ) -> impl Future<Output = Result<v1::$reply, CallError>> + Send;
            )*
        }

        impl Provisioning for Server {
            $(
                async fn $call(&self, request: v1::$request) -> Result<v1::$reply, CallError> {
                    let mut client = self.client.clone();
                    self.answer(client.$call(request).await)
                }
            )*
        }

        impl<S: Provisioning> Provisioning for Known<S> {
            $(
                async fn $call(&self, request: v1::$request) -> Result<v1::$reply, CallError> {
                    self.call(self.server.$call(request)).await
                }
            )*
        }

        impl<S: Provisioning> Patient<'_, S> {
            $(
                pub(crate) async fn $call(
                    &self,
                    request: v1::$request,
                ) -> Result<v1::$reply, CallError> {
                    if self.is_away() {
                        return Err(silent());
                    }
                    let ask = || self.server.$call(request.clone());
                    repeat_within(self.patience, self.within, ask).await
                }
            )*
        }
    };
}

provisioning! {
    /// What an order builds and whether it still may.
    open_order(OpenOrderRequest) -> OpenOrderResponse;
    /// Mints for one unit.
    issue(IssueRequest) -> IssueResponse;
    /// Gives the same bundle again.
    resume(ResumeRequest) -> IssueResponse;
    /// Records the unit's receipt.
    confirm(ConfirmRequest) -> ProofResponse;
    /// Records that a label is printed again.
    reprint(ReprintRequest) -> ProofResponse;
    /// Closes the attempt.
    seal(SealRequest) -> ProofResponse;
    /// Withdraws the attempt.
    void(VoidRequest) -> ProofResponse;
    /// Opens a sealed unit again, by two people.
    rework(ReworkRequest) -> ProofResponse;
    /// Scraps a sealed unit, by two people.
    scrap(ScrapRequest) -> ProofResponse;
    /// Gives credentials for the hours without a network, encrypted to this station.
    lease(LeaseRequest) -> LeaseResponse;
    /// Records which unit got a leased one.
    spend(SpendRequest) -> ProofResponse;
    /// Voids those that no unit got.
    return_lease(ReturnLeaseRequest) -> ReturnLeaseResponse;
    /// Where a unit of this station's stands.
    unit_state(UnitStateRequest) -> UnitStateResponse;
}

/// Why there is no way to the server, before any call.
#[derive(Debug, Error)]
pub enum ServerError {
    /// The station's folder.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The address in it.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The keys in it.
    #[error(transparent)]
    Trust(#[from] TrustError),
}

/// The real server, over mutual TLS. Cheap to clone; all clones share one connection.
#[derive(Clone)]
pub struct Server {
    client: ProvisioningClient<Channel>,
    channel: Channel,
    watch: Watch,
}

impl Server {
    /// Prepares to call the server this station was enrolled with. Connects at the first call.
    ///
    /// # Errors
    /// Every variant of [`ServerError`].
    pub fn of(home: &Home) -> Result<Server, ServerError> {
        let address = Address::parse(home.server())?;
        let (channel, watch) = connect::channel(&address, trust::station_tls(home.identity()?)?);
        let client = ProvisioningClient::new(channel.clone())
            .max_decoding_message_size(MESSAGE_MAX)
            .max_encoding_message_size(MESSAGE_MAX);
        Ok(Server {
            client,
            channel,
            watch,
        })
    }

    /// The entry that says what the server's log lost of the log with this checkpoint; without an
    /// entry, that the log goes on from it.
    ///
    /// # Errors
    /// [`CallError`]; refused with UNKNOWN_UNIT when neither is so.
    pub(crate) async fn show_recovery(
        &self,
        checkpoint: String,
    ) -> Result<v1::ProofResponse, CallError> {
        let mut client = self.client.clone();
        let request = v1::ShowRecoveryRequest { checkpoint };
        self.answer(client.show_recovery(request).await)
    }

    /// The server's clock and whether the line is stopped, and so whether it takes this station.
    ///
    /// # Errors
    /// [`CallError`].
    pub(crate) async fn show_clock(&self) -> Result<v1::ShowClockResponse, CallError> {
        let mut client = self.client.clone();
        self.answer(client.show_clock(v1::ShowClockRequest {}).await)
    }

    /// Whether the server says that it serves.
    ///
    /// # Errors
    /// [`CallError`].
    pub(crate) async fn serves(&self) -> Result<bool, CallError> {
        let mut client = HealthClient::new(self.channel.clone());
        let request = HealthCheckRequest {
            service: String::new(),
        };
        let answer = self.answer(client.check(request).await)?;
        Ok(answer.status() == ServingStatus::Serving)
    }

    fn answer<T>(&self, answer: Result<tonic::Response<T>, Status>) -> Result<T, CallError> {
        answer.map(tonic::Response::into_inner).map_err(|status| {
            let error = CallError::from(status);
            match (&error, self.watch.take()) {
                (CallError::Unavailable { .. }, Some(trust)) => CallError::Trust(trust),
                _ => error,
            }
        })
    }
}

/// How long a station waits for a server that is away.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Patience(pub Duration);

impl Patience {
    /// One try.
    pub const NONE: Patience = Patience(Duration::ZERO);
}

impl Default for Patience {
    /// A server restart.
    fn default() -> Patience {
        Patience(Duration::from_secs(15))
    }
}

/// A server, asked again while it is away.
pub(crate) struct Patient<'a, S> {
    pub(crate) server: &'a S,
    pub(crate) patience: Patience,
    /// How long one try may take.
    within: Duration,
    /// Set when the work in hand goes on without it: it is not looked for any more.
    away: AtomicBool,
}

impl<'a, S> Patient<'a, S> {
    pub(crate) fn new(server: &'a S, patience: Patience) -> Patient<'a, S> {
        let away = AtomicBool::new(false);
        Patient {
            server,
            patience,
            within: TRY_WITHIN,
            away,
        }
    }

    /// One try that may take so long, for a call of which a repeat undoes the one before.
    pub(crate) fn once(server: &'a S, within: Duration) -> Patient<'a, S> {
        Patient {
            within,
            ..Patient::new(server, Patience::NONE)
        }
    }

    /// The work in hand goes on without the server.
    pub(crate) fn go_without(&self) {
        self.away.store(true, Ordering::Relaxed);
    }

    /// Whether it does.
    pub(crate) fn is_away(&self) -> bool {
        self.away.load(Ordering::Relaxed)
    }
}

/// The first pause between two tries; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// No pause is longer: a server that is back should be noticed.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// One try; a server under load answers within a group commit.
const TRY_WITHIN: Duration = Duration::from_secs(5);

/// Repeats a call while the server is unavailable, until the patience is spent.
///
/// Safe because of what the server promises: see [`Provisioning`]. An issue is asked for only
/// before a byte went to the unit, so a bundle that comes too late reaches no unit.
async fn repeat_within<T, F>(
    patience: Patience,
    one_try: Duration,
    mut ask: impl FnMut() -> F,
) -> Result<T, CallError>
where
    F: Future<Output = Result<T, CallError>>,
{
    let end = Instant::now() + patience.0;
    let mut within = Instant::now() + one_try; // without any patience there is still one try
    let mut pause = FIRST_PAUSE;
    loop {
        let answer = timeout_at(within, ask())
            .await
            .unwrap_or_else(|_| Err(silent()));
        match answer {
            Err(CallError::Unavailable { .. }) if Instant::now() + pause < end => {
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                within = (Instant::now() + one_try).min(end);
            }
            settled => return settled,
        }
    }
}

pub(crate) fn silent() -> CallError {
    CallError::Unavailable {
        reason: None,
        message: "no reply in time".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn away() -> CallError {
        Status::unavailable("away").into()
    }

    async fn check(failures: u32, error: fn() -> CallError, expected: (bool, u32, u64)) {
        let asked = Cell::new(0);
        let started = Instant::now();
        let answer = repeat_within(Patience::default(), TRY_WITHIN, || {
            asked.set(asked.get() + 1);
            let answer = if asked.get() > failures {
                Ok(())
            } else {
                Err(error())
            };
            async { answer }
        })
        .await;
        let took = u64::try_from(started.elapsed().as_millis()).unwrap();
        assert_eq!((answer.is_ok(), asked.get(), took), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn only_an_unavailable_server_is_asked_again_and_not_for_ever() {
        check(0, away, (true, 1, 0)).await;
        check(2, away, (true, 3, 300)).await;
        check(u32::MAX, away, (false, 11, 13_100)).await;
        check(1, || Status::internal("no").into(), (false, 1, 0)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_never_returns_is_given_up() {
        let asked = Cell::new(0);
        let started = Instant::now();
        let answer: Result<(), CallError> = repeat_within(Patience::default(), TRY_WITHIN, || {
            asked.set(asked.get() + 1);
            std::future::pending()
        })
        .await;
        assert!(matches!(answer, Err(CallError::Unavailable { .. })));
        assert_eq!(asked.get(), 3);
        assert!(started.elapsed() <= Duration::from_secs(15));
    }
}
