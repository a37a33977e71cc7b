//! A whole site on this machine: token, server, administrator and stations, as they run for real.
//!
//! The token is behind a Unix socket, the server behind mutual TLS on a loopback port, the
//! stations enrol with one-time tokens. Only the silicon is simulated. Deliberately absent: units,
//! which come and go (see `unit`).

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use api::v1;
use api::v1::administration_client::AdministrationClient;
use api::v1::audit_client::AuditClient;
use provisioner::config::Config;
use provisioner::init::{self, Choice};
use provisioner::serve::{self, Running, Tail};
use provisioner::site::Site;
use station_cli::{Home, Token};
use tonic::transport::Channel;

use crate::softhsm;

/// The longest path a Unix socket can have on Linux (`sun_path`, unix(7)), without its end mark.
const SOCKET_PATH_MAX: usize = 107;

/// One site that runs until it is stopped.
pub struct Town {
    /// The server's data directory.
    pub site: Site,
    /// Where the server listens.
    pub address: SocketAddr,
    /// Where the stations are.
    stations: PathBuf,
    running: Running,
    /// The simulated token, when it is one; SoftHSM is inside the server.
    token: Option<hsm_sim::Handle>,
    /// Holds the socket when `data` is too deep for one.
    _socket_folder: Option<tempfile::TempDir>,
}

impl Town {
    /// Makes a site below `data` and starts it.
    ///
    /// # Errors
    /// When a part cannot be made or started; the text says which.
    pub async fn found(data: &Path) -> Result<Town> {
        Town::found_as(data, hsm_sim::Model::default()).await
    }

    /// The same with a token of a certain kind.
    ///
    /// # Errors
    /// As [`Town::found`].
    pub async fn found_as(data: &Path, model: hsm_sim::Model) -> Result<Town> {
        let folder = folder(data)?;
        let (store, pin) = (folder.join("token.store"), folder.join("pin"));
        let opened = hsm_sim::open_or_create(&store, None)?;
        let pin_made = opened.new_pin.context("the token is older than the site")?;
        std::fs::rename(&pin_made, &pin)?;

        let (socket, socket_folder) = socket_path(&folder)?;
        let token = hsm_sim::Server::bind_as(&socket, opened.token, model)?.spawn()?;
        let place = format!("sim:{}", socket.display());
        let mut town = Town::serve(data, place, pin).await?;
        town.token = Some(token);
        town._socket_folder = socket_folder;
        Ok(town)
    }

    /// The same with its keys in SoftHSM. The process has to find its configuration: see
    /// [`softhsm::enter`].
    pub(crate) async fn found_on_softhsm(data: &Path) -> Result<Town> {
        let (place, pin) = softhsm::found(&folder(data)?)?;
        Town::serve(data, place, pin).await
    }

    async fn serve(data: &Path, hsm: String, pin: PathBuf) -> Result<Town> {
        let site = Site::at(&data.join("provisioner"));
        let choice = Choice {
            hsm: Some(hsm),
            pin_file: Some(pin),
            ..Choice::default()
        };
        let made = site.clone();
        tokio::task::spawn_blocking(move || init::init(made.data(), &choice)).await??;

        let running = serve::start(&site, &config(&site)?, Tail::Refuse).await?;
        let (address, stations) = (running.address, data.join("stations"));
        Ok(Town {
            site,
            address,
            stations,
            running,
            token: None,
            _socket_folder: None,
        })
    }

    /// Commands that the simulated token has answered; none where it is another one.
    pub(crate) fn token_commands(&self) -> u64 {
        self.token.as_ref().map_or(0, hsm_sim::Handle::commands)
    }

    /// The administrator's calls.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn admin(&self) -> Result<AdministrationClient<Channel>> {
        Ok(AdministrationClient::new(
            provisioner::admin::connect(&self.site).await?,
        ))
    }

    /// Applies a product and gives permission to build it; returns the order's name.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn order(&self, definition: &str, product: &str, quantity: u32) -> Result<String> {
        order_at(&self.site, definition, product, quantity).await
    }

    /// How an order stands.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn count(&self, order: &str) -> Result<v1::OrderRecord> {
        count_at(&self.site, order).await
    }

    /// Invites a station and enrols it with the token, as its own first call.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn enrol(&self, station: &str) -> Result<Home> {
        let folder = self.stations.join(station);
        enrol_at(&self.site, self.address, station, &folder).await
    }

    /// Stops server and token in good order.
    ///
    /// # Errors
    /// When the server had failed before.
    pub async fn stop(self) -> Result<()> {
        self.running.stop().await?;
        if let Some(token) = self.token {
            token.stop();
        }
        Ok(())
    }
}

/// Applies a product at a running site and gives permission to build it.
pub(crate) async fn order_at(
    site: &Site,
    definition: &str,
    product: &str,
    quantity: u32,
) -> Result<String> {
    let mut admin = AdministrationClient::new(provisioner::admin::connect(site).await?);
    let definition = definition.to_owned();
    admin
        .apply_product(v1::ApplyProductRequest { definition })
        .await?;
    let product = product.to_owned();
    let request = v1::CreateOrderRequest {
        product,
        quantity,
        ..Default::default()
    };
    Ok(admin.create_order(request).await?.into_inner().order)
}

/// How an order of a running site stands.
pub(crate) async fn count_at(site: &Site, order: &str) -> Result<v1::OrderRecord> {
    let mut audit = AuditClient::new(provisioner::admin::connect(site).await?);
    let request = v1::ShowOrderRequest {
        order: order.to_owned(),
    };
    Ok(audit.show_order(request).await?.into_inner())
}

/// Invites a station at a running site and enrols it with the token, into its folder.
pub(crate) async fn enrol_at(
    site: &Site,
    address: SocketAddr,
    station: &str,
    folder: &Path,
) -> Result<Home> {
    let request = v1::InviteStationRequest {
        station: station.to_owned(),
        valid_s: 0,
    };
    let mut admin = AdministrationClient::new(provisioner::admin::connect(site).await?);
    let reply = admin.invite_station(request).await?.into_inner();
    let token = Token::parse(&zeroize::Zeroizing::new(reply.token))?;
    Ok(station_cli::enroll(&format!("https://{address}"), token, folder).await?)
}

/// Where the token of a site lies, made.
fn folder(data: &Path) -> Result<PathBuf> {
    let folder = data.join("hsm");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot use {}", data.display()))?;
    Ok(folder)
}

fn config(site: &Site) -> Result<Config> {
    let mut config = Config::read(site.data())?;
    config.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    config.allow_simulated_hsm = true;
    Ok(config)
}

/// A place for the token's socket: in the site, unless its path is too long for one.
fn socket_path(folder: &Path) -> Result<(PathBuf, Option<tempfile::TempDir>)> {
    let here = std::path::absolute(folder)?.join("socket");
    if here.as_os_str().len() <= SOCKET_PATH_MAX {
        return Ok((here, None));
    }
    let short = tempfile::tempdir()?;
    Ok((short.path().join("socket"), Some(short)))
}
