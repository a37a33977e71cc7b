//! A running server, an administrator and as many stations as a test needs.

use std::path::{Path, PathBuf};

use api::v1::administration_client::AdministrationClient;
use api::v1::enrolment_client::EnrolmentClient;
use api::v1::provisioning_client::ProvisioningClient;
use api::{Reason, v1};
use provisioner::config::Config;
use provisioner::init::{Choice, init};
use provisioner::serve::{self, Running, Tail};
use provisioner::site::Site;
use rcgen::{CertificateParams, KeyPair, PublicKeyData, SigningKey};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Status};
use traveler::{Attempt, DeviceId, Serial};

/// A product whose label carries no secret, and one whose label does.
const PLAIN: &str = "sku = \"PLUG-1\"\nname = \"Example plug\"\nmodel = \"PLUG1\"\n";
const LABELLED: &str = "sku = \"CAM-2\"\nname = \"Example camera\"\nmodel = \"CAM2\"\nrevisions = [\"B\"]\nlabel = true\n";

/// One server with its data directory.
pub(crate) struct Town {
    pub(crate) site: Site,
    running: Running,
    /// The token in a process's stead, when it is one that fails on command.
    token: Option<hsm_sim::Handle>,
    _dir: tempfile::TempDir,
}

/// One enrolled station.
#[derive(Clone)]
pub(crate) struct Bench {
    pub(crate) client: ProvisioningClient<Channel>,
    identity: Identity,
}

/// One unit that makes its own key.
pub(crate) struct Unit {
    pub(crate) serial: String,
    pub(crate) device_id: Vec<u8>,
    pub(crate) csr: Vec<u8>,
    /// What it signs receipts with; none when the server mints a key for it.
    pub(crate) key: Option<KeyPair>,
}

impl Town {
    /// Makes a site and starts its server on a port of the system's choice.
    pub(crate) async fn start() -> Town {
        Town::made(tempfile::tempdir().unwrap(), Choice::default(), None).await
    }

    /// The same with its keys in a token behind a socket, which fails on command.
    pub(crate) async fn on_a_token() -> Town {
        let dir = tempfile::tempdir().unwrap();
        let opened = hsm_sim::open_or_create(&dir.path().join("token"), None).unwrap();
        let socket = dir.path().join("socket");
        let bound = hsm_sim::Server::bind(&socket, opened.token).unwrap();
        let choice = Choice {
            hsm: Some(format!("sim:{}", socket.display())),
            pin_file: opened.new_pin,
            ..Choice::default()
        };
        Town::made(dir, choice, Some(bound.spawn().unwrap())).await
    }

    /// The same with its keys wherever `hsm` says.
    pub(crate) async fn on(dir: tempfile::TempDir, hsm: String, pin_file: PathBuf) -> Town {
        let choice = Choice {
            hsm: Some(hsm),
            pin_file: Some(pin_file),
            ..Choice::default()
        };
        Town::made(dir, choice, None).await
    }

    /// What `grpc.health.v1` says: whether it serves.
    pub(crate) async fn serves(&self) -> bool {
        use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
        let channel = provisioner::admin::connect(&self.site).await.unwrap();
        let request = HealthCheckRequest::default();
        let answer = HealthClient::new(channel).check(request).await.unwrap();
        answer.into_inner().status == 1
    }

    /// Starts again on the same data, which may be refused.
    pub(crate) async fn try_serve(site: &Site) -> Result<Running, serve::ServeError> {
        let mut config = Config::read(site.data()).unwrap();
        config.listen = ([127, 0, 0, 1], 0).into();
        config.allow_simulated_hsm = true;
        serve::start(site, &config, Tail::Refuse).await
    }

    async fn made(dir: tempfile::TempDir, choice: Choice, token: Option<hsm_sim::Handle>) -> Town {
        let data = dir.path().join("provisioner");
        let site = Site::at(&data);
        let made = tokio::task::spawn_blocking(move || init(&data, &choice).map(drop)).await;
        made.unwrap().unwrap();
        let running = serve_on(&site).await;
        Town {
            site,
            running,
            token,
            _dir: dir,
        }
    }

    /// Switches what is wrong with the token.
    pub(crate) fn fault(&self, fault: hsm_sim::Fault) {
        self.token.as_ref().unwrap().set_fault(fault);
    }

    /// Every entry of the log as JSON.
    pub(crate) fn entries(&self) -> Vec<serde_json::Value> {
        let reader = ledger::Reader::open(&self.site.ledger()).unwrap();
        let entry = |seq| reader.entry(seq).unwrap().unwrap();
        let entries = (0..reader.size().unwrap()).map(entry);
        entries
            .map(|bytes| serde_json::from_slice(&bytes).unwrap())
            .collect()
    }

    /// Starts on the data of a site that was stopped.
    pub(crate) async fn again(site: Site, dir: tempfile::TempDir) -> Town {
        let running = serve_on(&site).await;
        Town {
            site,
            running,
            token: None,
            _dir: dir,
        }
    }

    /// Stops in good order and starts again on the same data.
    pub(crate) async fn restart(mut self) -> Town {
        self.running.stop().await.unwrap();
        self.running = serve_on(&self.site).await;
        self
    }

    /// An image of the stopped site, its token with it, so that nothing in it is out of step.
    pub(crate) fn image(dir: &tempfile::TempDir) -> (Site, tempfile::TempDir) {
        fn copy(from: &Path, to: &Path) {
            std::fs::create_dir_all(to).unwrap();
            for entry in std::fs::read_dir(from).unwrap() {
                let entry = entry.unwrap();
                let to = to.join(entry.file_name());
                match entry.file_type().unwrap() {
                    kind if kind.is_dir() => copy(&entry.path(), &to),
                    kind if kind.is_file() => drop(std::fs::copy(entry.path(), to).unwrap()),
                    _ => {} // a socket is of the process that made it
                }
            }
        }
        let image = tempfile::tempdir().unwrap();
        copy(dir.path(), image.path());
        (Site::at(&image.path().join("provisioner")), image)
    }

    pub(crate) async fn stop(self) -> (Site, tempfile::TempDir) {
        self.running.stop().await.unwrap();
        (self.site, self._dir)
    }

    pub(crate) async fn admin(&self) -> AdministrationClient<Channel> {
        AdministrationClient::new(provisioner::admin::connect(&self.site).await.unwrap())
    }

    /// An order for `quantity` units of the product without a label secret.
    pub(crate) async fn order(&self, quantity: u32) -> String {
        self.order_for(PLAIN, "PLUG-1", quantity).await
    }

    pub(crate) async fn labelled_order(&self, quantity: u32) -> String {
        self.order_for(LABELLED, "CAM-2", quantity).await
    }

    pub(crate) async fn order_for(&self, definition: &str, product: &str, quantity: u32) -> String {
        let mut admin = self.admin().await;
        let definition = definition.to_owned();
        admin
            .apply_product(v1::ApplyProductRequest { definition })
            .await
            .unwrap();
        let product = product.to_owned();
        let request = v1::CreateOrderRequest {
            product,
            quantity,
            ..Default::default()
        };
        admin
            .create_order(request)
            .await
            .unwrap()
            .into_inner()
            .order
    }

    pub(crate) async fn count(&self, order: &str) -> v1::OrderRecord {
        let channel = provisioner::admin::connect(&self.site).await.unwrap();
        let mut audit = api::v1::audit_client::AuditClient::new(channel);
        let request = v1::ShowOrderRequest {
            order: order.to_owned(),
        };
        audit.show_order(request).await.unwrap().into_inner()
    }

    pub(crate) async fn token(&self, station: &str) -> String {
        let request = v1::InviteStationRequest {
            station: station.to_owned(),
            valid_s: 0,
        };
        self.admin()
            .await
            .invite_station(request)
            .await
            .unwrap()
            .into_inner()
            .token
    }

    /// Uses a token up, with a key made here.
    pub(crate) async fn enrol(&self, token: &str) -> Result<Bench, Status> {
        let key = KeyPair::generate().unwrap();
        let csr = csr(&key);
        let mut door = EnrolmentClient::new(self.channel(None).await);
        let request = v1::EnrolRequest {
            token: token.to_owned(),
            csr,
        };
        let enrolled = door.enrol(request).await?.into_inner();
        let certificate = identity::pem("CERTIFICATE", &enrolled.certificate);
        let identity = Identity::from_pem(certificate.as_bytes(), key.serialize_pem());
        Ok(self.known(identity).await)
    }

    async fn known(&self, identity: Identity) -> Bench {
        let client = ProvisioningClient::new(self.channel(Some(identity.clone())).await);
        Bench { client, identity }
    }

    /// The same station at this server, whatever it knows of it.
    pub(crate) async fn meet(&self, bench: &Bench) -> Bench {
        self.known(bench.identity.clone()).await
    }

    pub(crate) async fn bench(&self, station: &str) -> Bench {
        let token = self.token(station).await;
        self.enrol(&token).await.unwrap()
    }

    /// A person's credential of the site: `admin` or `qa`.
    pub(crate) fn person(&self, who: &str) -> Identity {
        let read = |path: PathBuf| std::fs::read_to_string(path).unwrap();
        let folder = self.site.credential(who);
        Identity::from_pem(
            read(folder.join("certificate.pem")),
            read(folder.join("key.pem")),
        )
    }

    /// A connection with this identity, or with none.
    pub(crate) async fn channel(&self, identity: Option<Identity>) -> Channel {
        self.try_channel(identity).await.unwrap()
    }

    /// The same, when the server may refuse.
    pub(crate) async fn try_channel(
        &self,
        identity: Option<Identity>,
    ) -> Result<Channel, tonic::transport::Error> {
        let root = std::fs::read_to_string(self.site.site_root()).unwrap();
        let mut tls = ClientTlsConfig::new()
            .domain_name(api::SERVER_NAME)
            .ca_certificate(Certificate::from_pem(root));
        if let Some(identity) = identity {
            tls = tls.identity(identity);
        }
        let url = format!("https://{}", self.running.address);
        Endpoint::from_shared(url)
            .unwrap()
            .tls_config(tls)
            .unwrap()
            .connect()
            .await
    }
}

impl Bench {
    pub(crate) async fn issue(
        &mut self,
        order: &str,
        unit: &Unit,
    ) -> Result<v1::IssueResponse, Status> {
        Ok(self.client.issue(request(order, unit)).await?.into_inner())
    }

    pub(crate) async fn resume(
        &mut self,
        unit: &Unit,
        issued: &v1::IssueResponse,
    ) -> Result<v1::IssueResponse, Status> {
        let request = v1::ResumeRequest {
            serial: unit.serial.clone(),
            attempt: issued.attempt,
            device_id: unit.device_id.clone(),
            ticket: issued.ticket.clone(),
        };
        Ok(self.client.resume(request).await?.into_inner())
    }

    pub(crate) async fn confirm(
        &mut self,
        unit: &Unit,
        issued: &v1::IssueResponse,
    ) -> Result<v1::ProofResponse, Status> {
        let request = unit.receipt(issued);
        Ok(self.client.confirm(request).await?.into_inner())
    }

    pub(crate) async fn seal(
        &mut self,
        unit: &Unit,
        attempt: u32,
        label_scanned: bool,
    ) -> Result<v1::ProofResponse, Status> {
        let request = v1::SealRequest {
            serial: unit.serial.clone(),
            attempt,
            device_id: unit.device_id.clone(),
            label_scanned,
            ..Default::default()
        };
        Ok(self.client.seal(request).await?.into_inner())
    }

    pub(crate) async fn void(
        &mut self,
        unit: &Unit,
        attempt: u32,
        scrap: bool,
    ) -> Result<v1::ProofResponse, Status> {
        let request = v1::VoidRequest {
            serial: unit.serial.clone(),
            attempt,
            device_id: unit.device_id.clone(),
            cause: "read_back".to_owned(),
            scrap,
            ..Default::default()
        };
        Ok(self.client.void(request).await?.into_inner())
    }
}

impl Unit {
    /// A unit with a key of its own; its silicon follows from its number.
    pub(crate) fn new(number: u32) -> Unit {
        let key = KeyPair::generate().unwrap();
        Unit {
            serial: format!("BM-{number:06}"),
            device_id: [&[0xd0, 0, 0, 0][..], &number.to_be_bytes()].concat(),
            csr: csr(&key),
            key: Some(key),
        }
    }
}

pub(crate) fn request(order: &str, unit: &Unit) -> Request<v1::IssueRequest> {
    Request::new(v1::IssueRequest {
        order: order.to_owned(),
        serial: unit.serial.clone(),
        device_id: unit.device_id.clone(),
        model: "PLUG1".to_owned(),
        csr: unit.csr.clone(),
        ..Default::default()
    })
}

impl Unit {
    /// What the station hands over: the digest of what was issued, signed by the unit.
    pub(crate) fn receipt(&self, issued: &v1::IssueResponse) -> v1::ConfirmRequest {
        let bundle = credential::BundleBytes::from_bytes(&issued.bundle).unwrap();
        let serial = Serial::parse(&self.serial).unwrap();
        let device_id = DeviceId::from_bytes(&self.device_id).unwrap();
        let digest = bundle.digest();
        let receipt = credential::receipt(&serial, Attempt(issued.attempt), &device_id, &digest);
        let signature = self.key.as_ref().map(|key| key.sign(&receipt).unwrap());
        let public_key = self.key.as_ref().map(|key| key.subject_public_key_info());
        v1::ConfirmRequest {
            serial: self.serial.clone(),
            attempt: issued.attempt,
            device_id: self.device_id.clone(),
            bundle_sha256: digest.0.to_vec(),
            signature: signature.unwrap_or_default(),
            public_key: public_key.unwrap_or_default(),
            ..Default::default()
        }
    }
}

/// The reason of a refusal.
pub(crate) fn reason<T>(answer: Result<T, Status>) -> Reason {
    match answer {
        Ok(_) => panic!("this was granted"),
        Err(status) => Reason::of(&status).unwrap_or_else(|| panic!("no reason in {status:?}")),
    }
}

fn csr(key: &KeyPair) -> Vec<u8> {
    CertificateParams::default()
        .serialize_request(key)
        .unwrap()
        .der()
        .to_vec()
}

async fn serve_on(site: &Site) -> Running {
    Town::try_serve(site).await.unwrap()
}
