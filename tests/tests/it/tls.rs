//! Row 61 of the list of bad inputs, in the real program: with the authority that signed it among the trusted
//! ones, a certificate must still be in date and for the right name; with any other it is nobody's.
//!
//! The platform is the sandbox, behind a server that ends TLS and passes the bytes on.

use crate::faults::PATIENCE;
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use std::sync::Arc;
use tests::submission::{key, text};
use tests::wait::found;
use tests::{Place, SandboxProcess, eventually};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A server that ends TLS for `name` and passes everything on to `to`.
struct Front {
    port: u16,
    task: JoinHandle<()>,
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Front {
    async fn start(authority: &Authority, name: &str, is_expired: bool, to: String) -> Self {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        if is_expired {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        }
        let own_key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&own_key, authority).unwrap();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(own_key.serialize_der()).unwrap(),
            )
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, to) = (acceptor.clone(), to.clone());
                tokio::spawn(async move {
                    // A client that does not trust us ends here.
                    let Ok(mut inner) = acceptor.accept(stream).await else { return };
                    let Ok(mut outer) = TcpStream::connect(to).await else { return };
                    let _ = tokio::io::copy_bidirectional(&mut inner, &mut outer).await;
                });
            }
        });
        Self { port, task }
    }
}

#[tokio::test]
async fn row_61_certificates_that_are_expired_misnamed_or_untrusted_send_nothing() {
    let (trusted, other) = (authority(), authority());
    for (what, signer, name, is_expired, is_right) in [
        ("right", &trusted, "localhost", false, true),
        ("expired", &trusted, "localhost", true, false),
        ("misnamed", &trusted, "elsewhere.example", false, false),
        ("untrusted", &other, "localhost", false, false),
    ] {
        let mut place = Place::new();
        let sandbox = SandboxProcess::start(&place).await;
        sandbox.put_speed(10.0).await;
        let front = Front::start(signer, name, is_expired, sandbox.address()).await;
        let roots = place.write("roots.pem", trusted.pem().as_bytes());
        place.set("SSL_CERT_FILE", &roots.display().to_string());
        let url = format!("\"https://localhost:{}\"", front.port);
        let settings = sandbox.settings(&place);
        let plain = format!("\"{}\"", sandbox.base_url);
        place.configure(&settings.replace(&plain, &url));
        let waybill = place.serve().await;
        let to = &sandbox.conversations()[0];
        let body = text("main", &to.id, &to.from, &to.to, "Over TLS");
        let id = waybill.api.send(&key("tls", 1), &body).await;
        if is_right {
            // What shows that the three others fail for the reason they are meant to.
            waybill.api.message_in(&id, &["delivered", "read"], PATIENCE).await;
            assert_eq!(sandbox.sends().await.len(), 1);
            continue;
        }
        eventually("the connection says why nothing goes out", async || {
            let budget = waybill.api.read("/api/v1/budget").await["items"][0].clone();
            found(budget["problem"].to_string().contains("certificate"), budget)
        })
        .await;
        let message = waybill.api.message(&id).await;
        assert_eq!((&message["attempts"], &message["verdict"]), (&0.into(), &"pending".into()));
        assert_eq!(sandbox.sends().await.len(), 0, "{what}");
        assert!(place.log().contains("certificate"), "{what}: the log says nothing");
    }
}
