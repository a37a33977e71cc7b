//! Enrolment and calls over real TLS on the loopback: who is trusted, and what is said when not.

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::SocketAddr;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::sync::{Arc, Mutex};

    use api::v1::enrolment_server::{Enrolment, EnrolmentServer};
    use api::v1::provisioning_server::{Provisioning as Service, ProvisioningServer};
    use api::{SERVER_NAME, v1};
    use rcgen::{
        BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer,
        DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd,
    };
    use ring::digest::{SHA256, digest};
    use station_cli::{
        CallError, EnrolError, Home, HomeError, Provisioning, Server, Token, TrustError, enroll,
    };
    use tokio::net::TcpListener;
    use tokio::task::JoinHandle;
    use tonic::transport::server::TcpIncoming;
    use tonic::transport::{Certificate, Identity, ServerTlsConfig};
    use tonic::{Request, Response, Status};

    const SECRET: &str = "ABCDEFGHJKMNPQRSTVWXYZ0123";

    /// A site: its root, and what its server saw.
    #[derive(Clone)]
    struct Site {
        root: Arc<CertifiedIssuer<'static, KeyPair>>,
        /// Whether stations get a certificate that has run out.
        expired: bool,
        /// Client certificates of the calls that arrived.
        peers: Arc<Mutex<Vec<usize>>>,
    }

    impl Site {
        fn new() -> Site {
            let mut params = CertificateParams::default();
            params
                .distinguished_name
                .push(DnType::CommonName, "site root");
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let key = KeyPair::generate().unwrap();
            Site {
                root: Arc::new(CertifiedIssuer::self_signed(params, key).unwrap()),
                expired: false,
                peers: Arc::default(),
            }
        }

        fn token(&self, station: &str) -> Token {
            let hash = digest(&SHA256, self.root.der());
            let hex: String = hash.as_ref()[..16]
                .iter()
                .map(|b| format!("{b:02x}"))
                .collect();
            Token::parse(&format!("BM1-{station}-{SECRET}-{hex}")).unwrap()
        }

        /// Serves on a free port of the loopback.
        async fn serve(&self) -> (SocketAddr, JoinHandle<()>) {
            let mut params = CertificateParams::new(vec![SERVER_NAME.to_owned()]).unwrap();
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            let key = KeyPair::generate().unwrap();
            let leaf = params.signed_by(&key, &self.root).unwrap();
            let chain = format!("{}{}", leaf.pem(), self.root.pem());
            let tls = ServerTlsConfig::new()
                .identity(Identity::from_pem(chain, key.serialize_pem()))
                .client_ca_root(Certificate::from_pem(self.root.pem()))
                .client_auth_optional(true);
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let serving = tonic::transport::Server::builder()
                .tls_config(tls)
                .unwrap()
                .add_service(EnrolmentServer::new(self.clone()))
                .add_service(ProvisioningServer::new(self.clone()))
                .serve_with_incoming(TcpIncoming::from(listener));
            (address, tokio::spawn(async { serving.await.unwrap() }))
        }
    }

    #[tonic::async_trait]
    impl Enrolment for Site {
        async fn enrol(
            &self,
            request: Request<v1::EnrolRequest>,
        ) -> Result<Response<v1::EnrolResponse>, Status> {
            let request = request.into_inner();
            let mut csr =
                CertificateSigningRequestParams::from_der(&request.csr.as_slice().into()).unwrap();
            csr.params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            if self.expired {
                csr.params.not_before = date_time_ymd(2020, 1, 1);
                csr.params.not_after = date_time_ymd(2021, 1, 1);
            }
            let certificate = csr.signed_by(&self.root).unwrap();
            let station = request.token.split('-').nth(1).unwrap();
            Ok(Response::new(v1::EnrolResponse {
                station: station.to_owned(),
                certificate: certificate.der().to_vec(),
                site_root: self.root.der().to_vec(),
                vkey: tlog::vkey("line.test/log", &[7; 32]).unwrap().to_string(),
            }))
        }
    }

    macro_rules! refuse {
        ($($call:ident($request:ident) -> $reply:ident;)*) => {
            #[tonic::async_trait]
            impl Service for Site {
                async fn open_order(
                    &self,
                    request: Request<v1::OpenOrderRequest>,
                ) -> Result<Response<v1::OpenOrderResponse>, Status> {
                    let peers = request.peer_certs().map_or(0, |chain| chain.len());
                    self.peers.lock().unwrap().push(peers);
                    if request.get_ref().order == "HANG" {
                        std::future::pending::<()>().await;
                    }
                    Ok(Response::new(v1::OpenOrderResponse::default()))
                }

                $(
                    async fn $call(
                        &self,
                        _: Request<v1::$request>,
                    ) -> Result<Response<v1::$reply>, Status> {
                        Err(Status::internal("not part of this test"))
                    }
                )*
            }
        };
    }

    refuse! {
        issue(IssueRequest) -> IssueResponse;
        resume(ResumeRequest) -> IssueResponse;
        confirm(ConfirmRequest) -> ProofResponse;
        reprint(ReprintRequest) -> ProofResponse;
        seal(SealRequest) -> ProofResponse;
        void(VoidRequest) -> ProofResponse;
        rework(ReworkRequest) -> ProofResponse;
        scrap(ScrapRequest) -> ProofResponse;
        unit_state(UnitStateRequest) -> UnitStateResponse;
        show_recovery(ShowRecoveryRequest) -> ProofResponse;
        lease(LeaseRequest) -> LeaseResponse;
        spend(SpendRequest) -> ProofResponse;
        return_lease(ReturnLeaseRequest) -> ReturnLeaseResponse;
        show_clock(ShowClockRequest) -> ShowClockResponse;
    }

    async fn enrolled(site: &Site, dir: &Path) -> (Home, JoinHandle<()>) {
        let (address, serving) = site.serve().await;
        let url = format!("https://{address}");
        let home = enroll(&url, site.token("bench"), dir).await.unwrap();
        (home, serving)
    }

    async fn call(home: &Home, order: &str) -> Result<v1::OpenOrderResponse, CallError> {
        let server = Server::of(home).unwrap();
        server
            .open_order(v1::OpenOrderRequest {
                order: order.into(),
                seen_size: 0,
                seen_checkpoint: String::new(),
            })
            .await
    }

    /// The same station, told that its server is elsewhere.
    fn moved(home: &Home, address: SocketAddr) -> Home {
        let path = home.dir().join("station.toml");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(
            &path,
            text.replace(home.server(), &format!("https://{address}")),
        )
        .unwrap();
        Home::open(home.dir()).unwrap()
    }

    #[tokio::test]
    async fn a_station_that_enrolled_shows_its_certificate() {
        let (site, dir) = (Site::new(), tempfile::tempdir().unwrap());
        let (home, _serving) = enrolled(&site, dir.path()).await;
        assert_eq!(home.station().as_str(), "bench");
        call(&home, "WO-1").await.unwrap();
        assert_eq!(*site.peers.lock().unwrap(), [1]);
        let key = dir.path().join("key.pem");
        assert_eq!(
            fs::metadata(key).unwrap().permissions().mode() & 0o777,
            0o600
        );
        for file in fs::read_dir(dir.path()).unwrap() {
            let text = fs::read_to_string(file.unwrap().path()).unwrap();
            assert!(!text.contains(SECRET), "the token is not kept");
        }
        // The same station may enrol again; its key is another one then.
        let before = fs::read_to_string(dir.path().join("key.pem")).unwrap();
        let home = enroll(home.server(), site.token("bench"), dir.path())
            .await
            .unwrap();
        assert_ne!(
            fs::read_to_string(dir.path().join("key.pem")).unwrap(),
            before
        );
        call(&home, "WO-1").await.unwrap();
    }

    #[tokio::test]
    async fn a_server_without_the_root_that_the_token_names_gets_no_token() {
        let (site, other) = (Site::new(), Site::new());
        let dir = tempfile::tempdir().unwrap();
        let (address, _serving) = other.serve().await;
        let url = format!("https://{address}");
        let error = enroll(&url, site.token("bench"), dir.path())
            .await
            .unwrap_err();
        let trust = matches!(
            error,
            EnrolError::Call(CallError::Trust(TrustError::OtherServer(_)))
        );
        assert!(trust, "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_folder_of_another_station_or_server_is_refused() {
        let (site, other) = (Site::new(), Site::new());
        let dir = tempfile::tempdir().unwrap();
        let (home, _serving) = enrolled(&site, dir.path()).await;
        for token in [site.token("bench2"), other.token("bench")] {
            let error = enroll(home.server(), token, dir.path()).await.unwrap_err();
            let refused = matches!(error, EnrolError::Home(HomeError::OtherServer { .. }));
            assert!(refused, "{error}");
        }
        call(&home, "WO-1").await.unwrap();
    }

    #[tokio::test]
    async fn another_sites_server_is_not_talked_to() {
        let (site, other) = (Site::new(), Site::new());
        let dir = tempfile::tempdir().unwrap();
        let (home, _serving) = enrolled(&site, dir.path()).await;
        let (address, _other_serving) = other.serve().await;
        let error = call(&moved(&home, address), "WO-1").await.unwrap_err();
        assert!(
            matches!(error, CallError::Trust(TrustError::OtherServer(_))),
            "{error}"
        );
        assert!(other.peers.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn an_expired_or_unknown_certificate_says_enrol_again() {
        let (mut site, other) = (Site::new(), Site::new());
        site.expired = true;
        let dir = tempfile::tempdir().unwrap();
        let (home, _serving) = enrolled(&site, dir.path()).await;
        let error = call(&home, "WO-1").await.unwrap_err();
        assert!(
            matches!(error, CallError::Trust(TrustError::NotAccepted(_))),
            "{error}"
        );
        assert!(error.to_string().contains("enrol again"), "{error}");

        // Unknown: this station's root, but another site's certificate.
        site.expired = false;
        let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (home, _serving2) = enrolled(&site, dir.path()).await;
        let (foreign, _serving3) = enrolled(&other, elsewhere.path()).await;
        for name in ["key.pem", "certificate.pem"] {
            fs::copy(foreign.dir().join(name), home.dir().join(name)).unwrap();
        }
        let error = call(&home, "WO-1").await.unwrap_err();
        assert!(
            matches!(error, CallError::Trust(TrustError::NotAccepted(_))),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_server_that_is_away_or_dies_under_a_call_may_be_asked_again() {
        let (site, dir) = (Site::new(), tempfile::tempdir().unwrap());
        // A runtime of its own, so that its connections end with it.
        let machine = tokio::runtime::Runtime::new().unwrap();
        let serving = site.clone();
        let (address, _) = machine
            .spawn(async move { serving.serve().await })
            .await
            .unwrap();
        let url = format!("https://{address}");
        let home = enroll(&url, site.token("bench"), dir.path()).await.unwrap();
        let server = Server::of(&home).unwrap();
        let hanging = tokio::spawn({
            let server = server.clone();
            async move {
                server
                    .open_order(v1::OpenOrderRequest {
                        order: "HANG".into(),
                        seen_size: 0,
                        seen_checkpoint: String::new(),
                    })
                    .await
            }
        });
        while site.peers.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        machine.shutdown_background();
        let error = hanging.await.unwrap().unwrap_err();
        assert!(matches!(error, CallError::Unavailable { .. }), "{error:?}");
        let error = call(&home, "WO-1").await.unwrap_err();
        assert!(matches!(error, CallError::Unavailable { .. }), "{error:?}");
        // The server is back: the same client finds it.
        let (address, _serving) = site.serve().await;
        call(&moved(&home, address), "WO-1").await.unwrap();
    }
}
