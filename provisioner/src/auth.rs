//! Who is calling, and whether that role may.
//!
//! The role is read from the certificate that TLS has verified against the site's root, and each
//! service is registered behind [`only`], so a new call cannot forget to ask. Whether a station's
//! certificate is still the one it enrolled with is the ledger's to say: `Line::bench` asks on
//! every call, so a revoked station is refused at its next one.

use std::sync::Arc;

use identity::{Peer, Role};
use ring::digest::{SHA256, digest};
use tonic::service::Interceptor;
use tonic::{Request, Status};
use traveler::{Digest, StationName};

use crate::line;
use crate::status::Denied;

/// The client certificate of a connection, if the client showed one.
#[derive(Clone, Debug)]
pub(crate) struct PeerCertificate(pub(crate) Option<Arc<[u8]>>);

/// A caller whose certificate is this site's.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// What the certificate says the caller is.
    pub(crate) peer: Peer,
    /// SHA-256 of the certificate.
    pub certificate_sha256: Digest,
}

impl Caller {
    /// The name written into entries for what a person did.
    #[must_use]
    pub(crate) fn name(&self) -> String {
        match &self.peer.role {
            Role::Station(station) => station.to_string(),
            Role::Qa(name) | Role::Admin(name) => name.to_string(),
            Role::Server { .. } => "server".to_owned(),
        }
    }

    /// The station that calls.
    ///
    /// # Errors
    /// [`Denied::Role`] when the caller is not one.
    pub(crate) fn station(&self) -> Result<&StationName, Denied> {
        match &self.peer.role {
            Role::Station(station) => Ok(station),
            _ => Err(Denied::Role),
        }
    }
}

/// A role a service is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Group {
    /// Benches on the line.
    Stations,
    /// Those who may change what is built and by whom.
    Admins,
    /// Those who may read everything there is to read: QA and admins.
    Readers,
    /// Anybody with a certificate of the site.
    Everybody,
}

impl Group {
    fn holds(self, role: &Role) -> bool {
        match self {
            Group::Stations => matches!(role, Role::Station(_)),
            Group::Admins => matches!(role, Role::Admin(_)),
            Group::Readers => matches!(role, Role::Qa(_) | Role::Admin(_)),
            Group::Everybody => !matches!(role, Role::Server { .. }),
        }
    }
}

/// Lets a call through when its caller is of the group, and tells the service who it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Only(Group);

/// The gate in front of one service.
#[must_use]
pub(crate) fn only(group: Group) -> Only {
    Only(group)
}

impl Interceptor for Only {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let caller = caller(&request)?;
        if !self.0.holds(&caller.peer.role) {
            return Err(Denied::Role.into());
        }
        request.extensions_mut().insert(caller);
        Ok(request)
    }
}

fn caller(request: &Request<()>) -> Result<Caller, Denied> {
    let shown = request.extensions().get::<PeerCertificate>();
    let der = shown
        .and_then(|peer| peer.0.as_deref())
        .ok_or(Denied::NoCertificate)?;
    let peer = identity::parse_peer(der).map_err(|_| Denied::ForeignCertificate)?;
    // TLS checked this when the connection began; a connection can outlive its certificate.
    if peer.not_after < line::now() {
        return Err(Denied::Expired);
    }
    Ok(Caller {
        peer,
        certificate_sha256: sha256(der),
    })
}

/// SHA-256 as entries write it.
#[must_use]
pub(crate) fn sha256(bytes: &[u8]) -> Digest {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    Digest(out)
}
