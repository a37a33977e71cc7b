//! A look at a port: who is there, asked as the order says.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use traveler::OrderId;
use wire::UnitState;

use crate::calls::{Patience, Patient, Provisioning};
use crate::drive::UnitError;
use crate::exec::ToolError;
use crate::failure::Failure;
use crate::greet::greet_as;
use crate::home::Home;
use crate::port::{Port, PortError};
use crate::settle::Desk;
use crate::shift::floor::Presence;
use crate::tools::allowed;
use crate::unit::Way;
use crate::way::way;

/// Who stands at a port; and how its units are spoken to, once that is known. Until then nothing is
/// typed: a console takes frames for commands.
pub(super) async fn look<S: Provisioning>(
    mut port: impl Port,
    lid: Option<PathBuf>,
    way: Option<Way>,
    ask: (Arc<Home>, S, OrderId),
) -> (Presence, Option<Way>) {
    if let Some(lid) = lid
        && !std::fs::read(lid).is_ok_and(|text| text.first() == Some(&b'1'))
    {
        return (Presence::LidOpen, way);
    }
    let way = match way {
        Some(way) => way,
        None => match ask_way(&ask.0, &ask.1, &ask.2).await {
            Ok(way) => way,
            Err(failure) => return (Presence::Unasked(failure.advice().reason), None),
        },
    };
    let seen = match greet_as(&mut port, &way).await {
        Ok(facts) if facts.state == UnitState::Locked => Presence::Locked(facts.device_id),
        Ok(facts) => Presence::Unit(facts.device_id),
        Err(
            Failure::Port(PortError::Missing { .. })
            | Failure::Unit(UnitError::Cable(_) | UnitError::Tool(ToolError::Absent { .. })),
        ) => Presence::Nothing,
        Err(Failure::Port(_)) => Presence::Busy,
        Err(_) => Presence::Silent,
    };
    (seen, Some(way))
}

/// How the units of an order are spoken to.
///
/// # Errors
/// As of the server's answer, when it gives none of use.
pub(in crate::shift) async fn ask_way(
    home: &Home,
    server: &impl Provisioning,
    order: &OrderId,
) -> Result<Way, Failure> {
    let desk = Desk {
        home,
        calls: Patient::new(server, Patience(Duration::ZERO)),
        operator: None,
    };
    // Without a server, as it said when it gave a lease.
    allowed(home, way(&desk.order(order, true).await?)?)
}
