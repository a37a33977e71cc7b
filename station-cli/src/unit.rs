//! One unit, however it is spoken to: six verbs, and three ways behind them.
//!
//! Which way it is, the order says: a device profile comes with it, or none for units that speak
//! `wire`'s own protocol. Only those prove themselves what they hold. Of the others the station
//! reads back what it wrote and makes the receipt itself, from nothing but what was read; receipt
//! and log entry then name the profile.

use std::sync::Arc;

use credential::Password;
use tokio::io::{AsyncRead, AsyncWrite};
use traveler::{DeviceId, Digest};
use wire::profile::{Driver, Profile};
use wire::{Answer, Check, Facts, Load, Lock, Prove, Receipt, Reset};

use crate::begin::Credential;
use crate::console::ConsoleUnit;
use crate::drive::{Line, UnitError, nonce};
use crate::exec::ToolUnit;
use crate::port::{Port, PortError};
use crate::steps;

/// How the units of an order are spoken to; `None`: by frames.
pub(crate) type Way = Option<Arc<Profile>>;

/// A unit at an open port, or at one that a tool will open.
pub(crate) enum Unit<S> {
    /// By frames.
    Native(Box<Line<S>>),
    /// By its console.
    Console(Box<ConsoleUnit<S>>),
    /// By its maker's tool.
    Exec(ToolUnit),
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Unit<S> {
    /// Opens the port, unless it is a tool that will.
    pub(crate) async fn at<P: Port<Stream = S>>(
        port: &mut P,
        way: &Way,
    ) -> Result<Unit<S>, PortError> {
        match way.as_ref().map(|profile| &profile.driver) {
            Some(Driver::Exec(exec)) => {
                let tool = ToolUnit::new(Arc::clone(exec), &port.node()?);
                Ok(Unit::Exec(tool))
            }
            _ => Ok(Unit::on(port.open().await?, way)),
        }
    }

    pub(crate) fn on(stream: S, way: &Way) -> Unit<S> {
        match way.as_ref().map(|profile| &profile.driver) {
            Some(Driver::Console(console)) => {
                Unit::Console(Box::new(ConsoleUnit::new(stream, Arc::clone(console))))
            }
            _ => Unit::Native(Box::new(Line::new(stream))),
        }
    }

    /// Who is it, and what does it hold?
    pub(crate) async fn greet(&mut self) -> Result<Facts, UnitError> {
        match self {
            Unit::Native(line) => line.greet().await,
            Unit::Console(console) => steps::greet(console.as_mut()).await,
            Unit::Exec(tool) => steps::greet(tool).await,
        }
    }

    /// Writes, persists, reads back.
    pub(crate) async fn load(&mut self, credential: &Credential) -> Result<(), UnitError> {
        match self {
            Unit::Native(line) => {
                let device_id = credential.open.device_id.clone();
                let load = Load::new(nonce(), device_id, &credential.bytes);
                line.drive(load).await
            }
            Unit::Console(console) => steps::load(console.as_mut(), credential).await,
            Unit::Exec(tool) => steps::load(tool, credential).await,
        }
    }

    /// The line to a unit that writes, resets and proves in one turn; none to any other.
    pub(crate) fn installs(&mut self) -> Option<&mut Line<S>> {
        match self {
            Unit::Native(line) if line.installs() => Some(line),
            _ => None,
        }
    }

    /// Lets go of a port that went away, so that it can come back under its name.
    pub(crate) fn hang_up(&mut self) {
        if let Unit::Native(line) = self {
            line.hang_up();
        }
    }

    /// Makes it forget everything but its flash.
    pub(crate) async fn reset(&mut self, before: &Facts) -> Result<(), UnitError> {
        match self {
            Unit::Native(line) => line.drive(Reset::new(nonce(), before)).await.map(drop),
            Unit::Console(console) => steps::reset(console.as_mut(), before).await,
            Unit::Exec(tool) => steps::reset(tool, before).await,
        }
    }

    /// Whether a port that went away may have done so with the reset, where the unit counts no boots.
    pub(crate) fn has_reset(&self) -> bool {
        match self {
            Unit::Native(_) | Unit::Exec(_) => false, // one counts, the other has no port to lose
            Unit::Console(console) => console.has_reset(),
        }
    }

    /// Whether a unit at a port that came back has reset.
    pub(crate) async fn finish_reset(&mut self) -> Result<bool, UnitError> {
        match self {
            Unit::Native(_) | Unit::Exec(_) => Ok(false),
            Unit::Console(console) => console.finish_reset().await,
        }
    }

    /// Shows what it holds: the unit itself, or the station by reading it back.
    pub(crate) async fn prove(&mut self, credential: &Credential) -> Result<Receipt, UnitError> {
        match self {
            Unit::Native(line) => {
                let device_id = credential.open.device_id.clone();
                let prove = Prove::new(nonce(), device_id, &credential.bytes);
                line.drive(prove).await
            }
            Unit::Console(console) => steps::prove(console.as_mut(), credential).await,
            Unit::Exec(tool) => steps::prove(tool, credential).await,
        }
    }

    /// Sends ahead what an install ends with in any unit of this issuer, where the unit takes that first.
    pub(crate) async fn begin_install(&mut self, device_id: &DeviceId, ending: &[u8]) {
        if let Unit::Native(line) = self {
            line.begin_install(device_id, ending).await;
        }
    }

    /// Sends ahead what a lock begins with, where the unit does nothing before it has all of it.
    pub(crate) async fn begin_lock(&mut self, bundle: Digest) {
        if let Unit::Native(line) = self {
            line.begin_lock(bundle).await;
        }
    }

    /// Sees to it that it never takes another bundle, where it can do that.
    pub(crate) async fn lock(
        &mut self,
        device_id: &DeviceId,
        bundle: Digest,
    ) -> Result<(), UnitError> {
        match self {
            // It locks what it holds itself: another unit does not hold this bundle.
            Unit::Native(line) => line.drive(Lock::new(bundle)).await,
            Unit::Console(console) => steps::lock(console.as_mut(), device_id).await,
            Unit::Exec(tool) => steps::lock(tool, device_id).await,
        }
    }

    /// Is this its password, as it was scanned from its label?
    ///
    /// The caller has held `scanned` against the credential before: what a console or a tool is
    /// asked is whether the unit still holds the credential's.
    pub(crate) async fn check(
        &mut self,
        scanned: &Password,
        credential: &Credential,
    ) -> Result<Answer, UnitError> {
        match self {
            Unit::Native(line) => line.drive(Check::new(scanned)).await,
            Unit::Console(console) => steps::check(console.as_mut(), credential).await,
            Unit::Exec(tool) => steps::check(tool, credential).await,
        }
    }
}
