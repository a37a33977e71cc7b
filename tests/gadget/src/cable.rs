//! The cable of one gadget: in a socket or in none, and pulled in the middle of what is said.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::Duration;

/// One socket: where the gadget's side is named, and where the station's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Socket {
    /// The controller that a gadget is bound to.
    pub(crate) udc: &'static str,
    /// What a station calls it.
    pub(crate) place: &'static str,
}

/// The sockets of this machine, each a bus of its own.
pub(crate) const SOCKETS: [Socket; 3] = [
    Socket {
        udc: "dummy_udc.0",
        place: "usb:1-1",
    },
    Socket {
        udc: "dummy_udc.1",
        place: "usb:2-1",
    },
    Socket {
        udc: "dummy_udc.2",
        place: "usb:3-1",
    },
];

/// When a cable is pulled by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pulls {
    /// After so many bytes from the station.
    pub(crate) after: usize,
    /// So many times, each counted from when it was last plugged in.
    pub(crate) times: u32,
    /// And plugged in again after so long; `None` leaves it out.
    pub(crate) back_after: Option<Duration>,
}

/// Shared by whoever plugs it and the threads that carry its bytes.
pub(crate) struct Cable {
    /// `UDC` of the gadget in configfs.
    udc: PathBuf,
    state: Mutex<State>,
}

struct State {
    socket: Option<Socket>,
    pulls: Option<Pulls>,
    heard: usize,
    pulled: u32,
}

impl Cable {
    pub(crate) fn new(udc: PathBuf) -> Arc<Cable> {
        Arc::new(Cable {
            udc,
            state: Mutex::new(State {
                socket: None,
                pulls: None,
                heard: 0,
                pulled: 0,
            }),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn plug(&self, socket: Socket) -> std::io::Result<()> {
        let mut state = self.state();
        std::fs::write(&self.udc, socket.udc)?;
        (state.socket, state.heard) = (Some(socket), 0);
        Ok(())
    }

    /// Pulls it out of whatever it is in.
    pub(crate) fn pull(&self) -> std::io::Result<()> {
        let mut state = self.state();
        if state.socket.take().is_some() {
            state.pulled += 1;
            std::fs::write(&self.udc, "\n")?;
        }
        Ok(())
    }

    /// Out and in again, as a unit's own reset looks from the bus.
    pub(crate) fn replug(&self, out_for: Duration) -> std::io::Result<()> {
        let Some(socket) = self.state().socket else {
            return Ok(());
        };
        self.pull()?;
        sleep(out_for);
        self.plug(socket)
    }

    pub(crate) fn is_in(&self) -> bool {
        self.state().socket.is_some()
    }

    pub(crate) fn pull_by_itself(&self, pulls: Pulls) {
        let mut state = self.state();
        (state.pulls, state.heard) = (Some(pulls), 0);
    }

    /// How often it was pulled in all.
    pub(crate) fn pulled(&self) -> u32 {
        self.state().pulled
    }

    /// Bytes came from the station: how many of them still reach the unit. Fewer than came when the
    /// cable is pulled between two of them.
    pub(crate) fn carry(self: &Arc<Cable>, length: usize) -> std::io::Result<usize> {
        let (kept, socket, back_after) = {
            let mut state = self.state();
            let Some(pulls) = state.pulls.filter(|pulls| pulls.times > 0) else {
                return Ok(length);
            };
            if state.heard + length < pulls.after {
                state.heard += length;
                return Ok(length);
            }
            let kept = pulls.after - state.heard;
            state.heard = 0;
            state.pulls = Some(Pulls {
                times: pulls.times - 1,
                ..pulls
            });
            (kept, state.socket, pulls.back_after)
        };
        self.pull()?;
        if let (Some(socket), Some(back_after)) = (socket, back_after) {
            let cable = Arc::clone(self);
            std::thread::spawn(move || {
                sleep(back_after);
                cable
                    .plug(socket)
                    .expect("a socket that it was in is there");
            });
        }
        Ok(kept)
    }
}
