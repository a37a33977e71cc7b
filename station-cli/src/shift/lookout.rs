//! The shift's lookout: is the server there, what is left of the lease, what has it yet to hear?
//!
//! A thread of its own, with a connection of its own, so that a network that swallows packets holds
//! up no slot. It alone looks for a server that is away, and tells it what the outbox holds.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::timeout;
use traveler::{OrderId, Timestamp};

use super::card::Tone;
use super::clock;
use super::floor::Said;
use super::worker::News;
use crate::calls::{Patience, Patient, Server};
use crate::failure::Failure;
use crate::home::Home;
use crate::journal::JournalError;
use crate::lease::Standing;
use crate::link::Link;
use crate::offline::{is_away, is_revoked};
use crate::settle::Desk;

/// Between two looks at what is held here.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Between two looks for the server, while there is a lease to go on with.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// Between two notes that time has passed.
const TIME_EVERY: Duration = Duration::from_secs(60);
/// So many units on hold are named in turn; the end of the shift names all.
const HOLDS: usize = 3;
/// One look for it. A server that is slower is gone on without; it hears everything afterwards.
const ASK_WITHIN: Duration = Duration::from_secs(2);

/// What the floor has to know of lease and server.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Outlook {
    pub(crate) away: bool,
    pub(crate) held: Standing,
    /// When the first of those left expires, by the clock on the bench's wall.
    pub(crate) until: Option<String>,
    /// The server will have nothing to do with this station any more.
    pub(crate) revoked: bool,
}

impl Outlook {
    /// How it stands before anybody has looked out: as the start found it.
    pub(super) fn at_start(home: &Home, order: &OrderId, link: &Link) -> Result<Outlook, Failure> {
        Ok(Outlook::of(
            Standing::of(home, Some(order))?,
            link.is_away(),
        ))
    }

    fn of(held: Standing, away: bool) -> Outlook {
        let until = held.expires.map(clock::until);
        Outlook {
            away,
            held,
            until,
            revoked: false,
        }
    }

    /// A message with what is left and what is to be uploaded.
    pub(crate) fn said(&self, key: &'static str) -> Said {
        let left = u32::try_from(self.held.left).unwrap_or(u32::MAX);
        Said::text(key, self.held.to_upload.to_string(), left)
    }

    /// How many are left without the server, and until when.
    pub(crate) fn left(&self) -> Said {
        match &self.until {
            Some(time) => Said {
                time: time.clone(),
                ..self.said("OFFLINE_UNTIL")
            },
            None => self.said("OFFLINE_LEFT"),
        }
    }

    /// What everybody has to know of it, and how bad it is; the most pressing first.
    pub(crate) fn notices(&self) -> Vec<(Tone, Said)> {
        let mut notices = Vec::new();
        let gone_on = self.away && self.held.leased;
        if gone_on {
            let tone = match self.held.left {
                0 => Tone::Stop,
                _ => Tone::Offline,
            };
            notices.push((tone, self.left()));
        }
        let held = self.held.on_hold.iter().take(HOLDS);
        notices.extend(held.map(|serial| (Tone::Fail, Said::about("ON_HOLD", serial, 0))));
        if !gone_on && self.held.to_upload > 0 {
            notices.push((Tone::Offline, self.said("UPLOADING")));
        }
        notices
    }
}

/// Looks out until `end` is dropped.
pub(super) fn start(
    home: Arc<Home>,
    order: OrderId,
    link: Arc<Link>,
    news: UnboundedSender<News>,
    end: Receiver<()>,
) -> std::io::Result<JoinHandle<()>> {
    thread::Builder::new()
        .name("lookout".into())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let Ok(runtime) = runtime else {
                return; // each slot says so for itself
            };
            // A connection is made within the runtime that it lives in.
            let server = runtime.block_on(async { Server::of(&home) });
            if let Ok(server) = server {
                let lookout = Lookout {
                    home,
                    order,
                    link,
                    server,
                    revoked: false,
                };
                lookout.watch(&runtime, &news, &end);
            }
            runtime.shutdown_background();
        })
}

struct Lookout {
    home: Arc<Home>,
    order: OrderId,
    link: Arc<Link>,
    server: Server,
    revoked: bool,
}

impl Lookout {
    fn watch(mut self, runtime: &Runtime, news: &UnboundedSender<News>, end: &Receiver<()>) {
        let (mut told, mut asked) = (None, None::<Instant>);
        let mut passed = Instant::now();
        while end.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
            let Ok(outlook) = self.look() else {
                continue; // the disk: whoever works on it says so
            };
            if passed.elapsed() >= TIME_EVERY {
                let _ = self.time_passes(passed.elapsed());
                passed = Instant::now();
            }
            let wanted = outlook.held.leased || outlook.held.to_upload > 0;
            if told.as_ref() != Some(&outlook) {
                told = Some(outlook.clone());
                let _ = news.send(News::Outlook(outlook));
            }
            if wanted && asked.is_none_or(|asked| asked.elapsed() >= ASK_EVERY) {
                runtime.block_on(self.ask());
                asked = Some(Instant::now());
            }
        }
    }

    /// A clock that stands, or was put back, gives nobody more of a lease than the shift is long.
    fn time_passes(&self, elapsed: Duration) -> Result<(), JournalError> {
        let leases = self.home.leases();
        let elapsed = i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX);
        let now = leases.seen_time()?.unix_ms().saturating_add(elapsed);
        leases.saw(Timestamp::from_unix_ms(now))
    }

    fn look(&self) -> Result<Outlook, Failure> {
        let held = Standing::of(&self.home, Some(&self.order))?;
        self.link.looked(held.leased);
        Ok(Outlook {
            revoked: self.revoked,
            ..Outlook::of(held, self.link.is_away())
        })
    }

    /// Looks for the server, and tells it what it has yet to hear.
    async fn ask(&mut self) {
        let desk = Desk {
            home: &self.home,
            calls: Patient::new(&self.server, Patience::NONE),
            operator: None,
        };
        let clock = timeout(ASK_WITHIN, self.server.show_clock()).await;
        let found = match clock {
            Err(_) => return self.link.set_away(true),
            Ok(Ok(told)) => {
                self.link.set_away(false);
                // When it cannot be written now, it is at the next look.
                let _ = self
                    .home
                    .leases()
                    .saw(Timestamp::from_unix_ms(told.unix_ms));
                desk.drain_all().await.map(drop)
            }
            Ok(Err(error)) => Err(error.into()),
        };
        match found {
            Err(failure) if is_revoked(&failure) => {
                // What cannot be erased now is at the next look.
                let _ = desk.revoked(&failure.to_string());
                self.link.set_away(false);
                self.revoked = true;
            }
            Err(failure @ Failure::Call(_)) if is_away(&failure) => self.link.set_away(true),
            _ => {}
        }
    }
}
