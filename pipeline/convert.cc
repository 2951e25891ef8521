#include "pipeline/convert.h"

#include "pipeline/decode.h"
#include "pipeline/lines.h"
#include "pipeline/unpacked.h"

namespace tollbook {
namespace {

constexpr size_t kSinkBytes = 256 << 10;
constexpr uint64_t kUnpackedKept = 64 << 20;

class Converter {
 public:
  explicit Converter(const std::function<absl::Status(std::string_view)>& sink) : sink_(sink) {}

  absl::Status File(const InputFile& file) {
    ReaderOptions options;
    options.count_rows = file.mapping != nullptr && NeedsRows(*file.mapping);
    std::shared_ptr<const Unpacked> unpacked;
    if (file.regular && file.compression != Compression::kNone) {
      UnpackOptions unpacking;
      unpacking.keep_bytes = kUnpackedKept;
      unpacked = std::make_shared<const Unpacked>(Unpack(file, unpacking));
      if (!unpacked->status.ok()) return LeaveOut(file, unpacked->status);
    }
    absl::StatusOr<std::unique_ptr<BlockReader>> reader =
        unpacked == nullptr ? BlockReader::Open(file, options)
                            : BlockReader::Open(file, options, [&] { return OpenUnpacked(file, unpacked); });
    if (!reader.ok()) return LeaveOut(file, reader.status());
    std::unique_ptr<Decoder> decoder = MakeJsonDecoder();
    if (file.format == InputFormat::kCsv) {
      absl::StatusOr<std::unique_ptr<Decoder>> csv = MakeCsvDecoder(*file.mapping, (*reader)->header(), file.name);
      if (!csv.ok()) return LeaveOut(file, csv.status());
      decoder = *std::move(csv);
    }
    uint64_t lines_before = file.format == InputFormat::kCsv ? 1 : 0;
    for (Block block;;) {
      block.arena.Clear();
      absl::StatusOr<bool> more = (*reader)->Next(&block);
      if (!more.ok()) return LeaveOut(file, more.status());
      if (!*more) return absl::OkStatus();
      const uint64_t line_ends = ForEachLine(block, [&](const BlockLine& line) {
        DecodeLine(*decoder, block, line, file, lines_before + line.number + 1);
      });
      for (size_t i = 0; i < block.long_lines.size(); ++i) {
        CannotConvert(file, lines_before + line_ends + i + 1, Reason::kLineTooLong);
      }
      lines_before += line_ends + block.long_lines.size();
      if (buffer_.size() >= kSinkBytes) TOLLBOOK_RETURN_IF_ERROR(Flush());
    }
  }

  absl::Status Flush() {
    const absl::Status status = sink_(buffer_);
    buffer_.clear();
    return status;
  }

  ConvertReport report;

 private:
  void DecodeLine(Decoder& decoder, Block& block, const BlockLine& line, const InputFile& file, uint64_t number) {
    events_.clear();
    decoder.Decode(line.text, line.row, block.arena, events_);
    for (const DecodedEvent& decoded : events_) {
      if (decoded.reason != Reason::kNone) {
        CannotConvert(file, number, decoded.reason);
        continue;
      }
      ++report.lines;
      ++report.converted;
      AppendCanonicalJson(decoded.event, &buffer_);
      buffer_ += '\n';
    }
  }

  void CannotConvert(const InputFile& file, uint64_t line, Reason reason) {
    ++report.lines;
    ++report.unconverted;
    if (report.first_unconverted.size() < kUnconvertedKept)
      report.first_unconverted.push_back({file.path, line, reason});
  }

  absl::Status LeaveOut(const InputFile& file, const absl::Status& status) {
    report.left_out.push_back({file.path, std::string(Std(status.message()))});
    return absl::OkStatus();
  }

  const std::function<absl::Status(std::string_view)>& sink_;
  std::string buffer_;
  std::vector<DecodedEvent> events_;
};

}  // namespace

absl::StatusOr<ConvertReport> Convert(const InputList& inputs,
                                      const std::function<absl::Status(std::string_view)>& sink) {
  Converter converter(sink);
  converter.report.left_out = inputs.left_out;
  for (const InputFile& file : inputs.files) TOLLBOOK_RETURN_IF_ERROR(converter.File(file));
  TOLLBOOK_RETURN_IF_ERROR(converter.Flush());
  return std::move(converter.report);
}

}  // namespace tollbook
