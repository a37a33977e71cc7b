//! What auditors ask. Nothing here changes anything.

use api::v1;
use api::v1::audit_server::Audit;
use tonic::{Request, Response};
use traveler::{OrderId, Serial};

use super::{Reply, Services, open, parsed};
use crate::figures::order_record;
use crate::line::Line;
use crate::records::{line_record, station_record};
use crate::status::unreadable;

#[tonic::async_trait]
impl Audit for Services {
    async fn list_orders(
        &self,
        _: Request<v1::ListOrdersRequest>,
    ) -> Reply<v1::ListOrdersResponse> {
        let rows = self.run(Line::orders).await?;
        let orders = rows.into_iter().map(order_record).collect();
        Ok(Response::new(v1::ListOrdersResponse { orders }))
    }

    async fn show_order(&self, request: Request<v1::ShowOrderRequest>) -> Reply<v1::OrderRecord> {
        let (_, message) = open(request)?;
        let order = parsed(OrderId::parse(&message.order))?;
        let row = self.run(move |line| line.order_row(&order)).await?;
        Ok(Response::new(order_record(row)))
    }

    async fn list_stations(
        &self,
        _: Request<v1::ListStationsRequest>,
    ) -> Reply<v1::ListStationsResponse> {
        let rows = self.run(Line::stations).await?;
        let stations = rows.into_iter().map(station_record).collect();
        Ok(Response::new(v1::ListStationsResponse { stations }))
    }

    async fn show_line(&self, _: Request<v1::ShowLineRequest>) -> Reply<v1::LineRecord> {
        let stop = self
            .run(|line| line.read(|l| l.stop()).map_err(|e| unreadable(&e)))
            .await?;
        Ok(Response::new(stop.map(line_record).unwrap_or_default()))
    }

    async fn show_unit(
        &self,
        request: Request<v1::ShowUnitRequest>,
    ) -> Reply<v1::ShowUnitResponse> {
        let (_, message) = open(request)?;
        let serial = parsed(Serial::parse(&message.serial))?;
        let entries = self
            .run(move |line| {
                line.read(|l| l.traveler(&serial))
                    .map_err(|e| unreadable(&e))
            })
            .await?;
        Ok(Response::new(v1::ShowUnitResponse { entries }))
    }

    async fn show_checkpoint(
        &self,
        _: Request<v1::ShowCheckpointRequest>,
    ) -> Reply<v1::ShowCheckpointResponse> {
        let newest = self
            .run(|line| line.read(|l| l.checkpoint()).map_err(|e| unreadable(&e)))
            .await?;
        let checkpoint = newest.unwrap_or_default();
        Ok(Response::new(v1::ShowCheckpointResponse {
            checkpoint,
            vkey: self.0.vkey.clone(),
        }))
    }
}
