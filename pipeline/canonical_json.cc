#include "pipeline/decode.h"
#include "pipeline/json_text.h"

namespace tollbook {
namespace {

void AppendField(std::string_view name, std::string_view text, std::string* out) {
  out->append(",\"").append(name).append("\":");
  AppendJsonString(text, out);
}

void AppendData(std::span<const Property> data, std::string* out) {
  out->push_back('{');
  for (const Property& property : data) {
    if (&property != data.data()) out->push_back(',');
    AppendJsonString(property.name, out);
    out->push_back(':');
    if (property.kind == Property::Kind::kString) {
      AppendJsonString(property.text, out);
    } else {
      out->append(property.text);
    }
  }
  out->push_back('}');
}

}  // namespace

void AppendCanonicalJson(const UsageEvent& event, std::string* out) {
  out->append("{\"specversion\":\"1.0\"");
  AppendField("id", event.id, out);
  AppendField("source", event.source, out);
  AppendField("type", event.type, out);
  AppendField("subject", event.subject, out);
  AppendField("time", ToString(event.time), out);
  if (!event.data_json.empty()) {
    out->append(",\"data\":").append(event.data_json);
  } else if (!event.data.empty()) {
    out->append(",\"data\":");
    AppendData(event.data, out);
  }
  out->push_back('}');
}

}  // namespace tollbook
