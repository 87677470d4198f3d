#pragma once
// What the inert values of a PyTorch pickle mean: tensors over storages, NumPy arrays, and where in the pickle the
// network's are (a state_dict, one inside a checkpoint, or a whole pickled module).
#include <list>
#include <optional>
#include <string>
#include <vector>

#include "models/weights/pickle.h"
#include "models/weights/weight_file.h"
#include "runtime/error.h"

namespace vkfer {

// The elements that tensors are views of.
struct TorchStorage {
  StoredType type = StoredType::f32;
  std::span<const std::byte> bytes;
};

struct TorchView {
  TorchStorage storage;
  uint64_t offset = 0;                       // in elements, as all here
  std::vector<int64_t> shape, stride;
};

// "torch FloatStorage", "torch.cuda HalfStorage", "torch float32"; fails for element types that no network here uses.
StoredType torch_type(std::string_view global, const std::string& source);

// What the persistent ids of a pickle name: each format keeps its storages elsewhere.
class TorchStorages {
 public:
  virtual ~TorchStorages() = default;
  virtual TorchView find(PickleValue persistent) = 0;                       // of a storage: shape and strides are empty
  virtual bool is_tensor(PickleValue /*persistent*/) const { return false; }  // the oldest format saves tensors, too
  virtual uint64_t bytes() const = 0;                                       // of all storages: bounds what views expand to
};

class TorchValues {
 public:
  TorchValues(const Pickle& pickle, std::string source, TorchStorages& storages) : pickle_(pickle), source_(std::move(source)), storages_(storages) {}

  // The network's tensors, copied out of their storages, and notes about what else the pickle holds; every tensor in it
  // is checked.
  WeightFile network();

 private:
  struct Named {
    std::string name;
    PickleValue value;
  };
  bool is_tensor(PickleValue) const;
  TorchView view(PickleValue, const std::string& name);
  TorchView rebuilt(PickleValue arguments, const std::string& name, bool with_dtype);
  TorchView array(PickleValue data, PickleValue dtype, PickleValue shape, bool fortran, const std::string& name);
  std::span<const std::byte> raw_bytes(PickleValue);
  StoredType array_type(PickleValue dtype, const std::string& name) const;
  void check(const TorchView&, const std::string& name) const;

  enum class Take { containers, all };
  std::vector<Named> children(PickleValue, Take);
  std::vector<Named> tensors_below(PickleValue);
  PickleValue find_network(WeightFile&);
  void note(const Named&, WeightFile&);
  std::optional<PickleValue> entry(PickleValue map, std::string_view key);
  bool is_module(PickleValue);
  void spend(size_t& counter, size_t amount, size_t limit) const;
  PickleValue state_of(PickleValue object) const;

  int64_t whole(PickleValue, const std::string& name, const char* what) const;
  std::vector<int64_t> wholes(PickleValue, const std::string& name, const char* what) const;
  PickleValue item(PickleValue tuple, size_t i, const std::string& name) const;
  template <class... Args>
  [[noreturn]] void refuse(const std::string& name, fmt::format_string<Args...> format, Args&&... args) const;

  const Pickle& pickle_;
  std::string source_;
  TorchStorages& storages_;
  std::list<std::vector<std::byte>> decoded_;  // of byte strings that the pickle spells as text
  size_t children_ = 0, looked_at_ = 0;        // what walking has cost so far: shared parts are walked more than once
};

// The elements of a view in row-major order; the view has been checked.
WeightTensor copied(const TorchView&);

}  // namespace vkfer
