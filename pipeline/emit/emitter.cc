#include "pipeline/emit/emitter.h"

#include <filesystem>

#include "pipeline/emit/authorization.h"
#include "pipeline/emit/chargebee.h"
#include "pipeline/emit/dynamics.h"
#include "pipeline/emit/files.h"
#include "pipeline/emit/gainsight.h"
#include "pipeline/emit/maxio.h"
#include "pipeline/emit/netsuite.h"
#include "pipeline/emit/oracle.h"
#include "pipeline/emit/salesforce.h"
#include "pipeline/emit/sap.h"
#include "pipeline/emit/stripe.h"
#include "pipeline/emit/totango.h"
#include "pipeline/emit/tryton.h"
#include "pipeline/emit/webhook.h"
#include "pipeline/emit/zuora.h"

namespace tollbook {
namespace {

// Of an ERP that is shown who asks by `auth`; null: it is none.
using MakeErpEmitter = std::unique_ptr<Emitter> (*)(const Target&, std::unique_ptr<HttpClient>);
MakeErpEmitter ErpEmitter(TargetKind kind) {
  switch (kind) {
    case TargetKind::kNetsuite:
      return MakeNetsuiteEmitter;
    case TargetKind::kDynamics:
      return MakeDynamicsEmitter;
    case TargetKind::kSap:
      return MakeSapEmitter;
    case TargetKind::kOracle:
      return MakeOracleEmitter;
    default:
      return nullptr;
  }
}

// Likewise of what is told reports, item by item.
using MakeReportEmitter = std::unique_ptr<Emitter> (*)(const Target&, const EmitterContext&,
                                                       std::unique_ptr<HttpClient>);
MakeReportEmitter ReportEmitterOf(TargetKind kind) {
  switch (kind) {
    case TargetKind::kZuora:
      return MakeZuoraEmitter;
    case TargetKind::kSalesforce:
      return MakeSalesforceEmitter;
    case TargetKind::kGainsight:
      return MakeGainsightEmitter;
    case TargetKind::kTotango:
      return MakeTotangoEmitter;
    default:
      return nullptr;
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Emitter>> MakeEmitter(const Target& of, const EmitterContext& context) {
  Target target = of;
  std::string& ca_file = target.http.ca_file;
  if (!ca_file.empty()) ca_file = (std::filesystem::path(context.catalog_directory) / ca_file).string();
  if (target.kind == TargetKind::kFiles) return MakeFilesEmitter(target, context);
  if (const auto make = ErpEmitter(target.kind)) {
    absl::StatusOr<std::unique_ptr<HttpClient>> http = MakeTargetClient(target, context);
    if (!http.ok()) return http.status();
    return make(target, *std::move(http));
  }
  if (const auto make = ReportEmitterOf(target.kind)) {
    absl::StatusOr<std::unique_ptr<HttpClient>> http = MakeTargetClient(target, context);
    if (!http.ok()) return http.status();
    return make(target, context, *std::move(http));
  }
  Secret secret;
  if (context.with_secrets) {
    absl::StatusOr<Secret> read = ReadSecret(target.secret, context.catalog_directory);
    if (!read.ok()) return read.status();
    secret = *std::move(read);
  }
  if (target.kind == TargetKind::kStripe) return MakeStripeEmitter(target, context, std::move(secret));
  if (target.kind == TargetKind::kChargebee) return MakeChargebeeEmitter(target, context, std::move(secret));
  if (target.kind == TargetKind::kMaxio) return MakeMaxioEmitter(target, context, std::move(secret));
  if (target.kind == TargetKind::kTryton) return MakeTrytonEmitter(target, context, std::move(secret));
  absl::StatusOr<std::unique_ptr<HttpClient>> http = MakeTargetClient(target, context);
  if (!http.ok()) return http.status();
  return MakeWebhookEmitter(target, context, std::move(secret), *std::move(http));
}

}  // namespace tollbook
