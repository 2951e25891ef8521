#include "ledger/catalog_load.h"

#include "ledger/bytes.h"
#include "ledger/records.h"

namespace tollbook {

std::string Encode(const CatalogLoad& load) {
  ByteWriter out;
  out.Varint(load.sequence);
  for (const std::string* text : {&load.by, &load.command, &load.from, &load.before, &load.after}) out.Text(*text);
  if (!load.decided_by.empty()) {
    out.Text(load.decided_by);
    out.Text(load.decided_why);
  }
  return out.Take();
}

absl::StatusOr<CatalogLoad> DecodeCatalogLoad(std::string_view stored) {
  ByteReader in(stored);
  CatalogLoad load;
  load.sequence = in.Varint64();
  for (std::string* text : {&load.by, &load.command, &load.from, &load.before, &load.after}) *text = in.Text();
  if (!in.done() && in.ok()) {
    load.decided_by = in.Text();
    load.decided_why = in.Text();
    if (load.decided_by.empty()) return DamagedError("a load of a catalog");
  }
  if (!in.done() || load.after.empty()) return DamagedError("a load of a catalog");
  return load;
}

}  // namespace tollbook
