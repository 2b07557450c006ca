// Scores one image by an exported detector in C++: no Python, no fsad.
//
//     fsad export detector --format=onnx --out=detector.onnx
//     pip install openvino                                   # its wheel has the headers and libraries of C++, too
//     OV=$(python -c 'import openvino, pathlib; print(pathlib.Path(openvino.__file__).parent)')
//     g++ -O2 -std=c++17 examples/score.cpp -o score -I"$OV/include" "$OV"/libs/libopenvino.so.* -Wl,-rpath,"$OV/libs"
//     ./score detector.onnx part.ppm                         # score, verdict, confidence
//
// The image is a binary PPM of any size, which most image programs write; a camera gives the same bytes. It is shrunk by
// area, as fsad does; an image smaller than the network's input is refused.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <openvino/openvino.hpp>
#include <stdexcept>
#include <string>
#include <vector>

struct Image {
    size_t width = 0, height = 0;
    std::vector<uint8_t> rgb;  // height x width x 3
};

Image read(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::string kind;
    size_t most = 0;
    Image image;
    file >> kind >> image.width >> image.height >> most;
    if (kind != "P6" || most != 255) throw std::runtime_error(path + ": expected a binary PPM of 8 bits");
    file.get();
    image.rgb.resize(image.width * image.height * 3);
    if (!file.read(reinterpret_cast<char*>(image.rgb.data()), image.rgb.size()))
        throw std::runtime_error(path + ": truncated");
    return image;
}

// For each pixel of a side of `size`: how much of each pixel of the larger side lies in it.
std::vector<std::vector<std::pair<size_t, double>>> shares(size_t larger, size_t size) {
    std::vector<std::vector<std::pair<size_t, double>>> result(size);
    const double scale = double(larger) / size;
    for (size_t k = 0; k < size; ++k) {
        const double begin = k * scale, end = std::min((k + 1) * scale, double(larger));
        for (size_t j = size_t(begin); j < std::min(size_t(std::ceil(end)), larger); ++j)
            result[k].push_back({j, (std::min(end, j + 1.0) - std::max(begin, double(j))) / scale});
    }
    return result;
}

std::vector<uint8_t> shrink(const Image& image, size_t height, size_t width) {
    if (image.width < width || image.height < height)
        throw std::runtime_error("expected an image of at least " + std::to_string(width) + " x " +
                                 std::to_string(height) + " pixels");
    const auto across = shares(image.width, width), down = shares(image.height, height);
    std::vector<double> rows(image.height * width * 3, 0.0);
    for (size_t y = 0; y < image.height; ++y)
        for (size_t x = 0; x < width; ++x)
            for (const auto& [j, share] : across[x])
                for (size_t c = 0; c < 3; ++c)
                    rows[(y * width + x) * 3 + c] += share * image.rgb[(y * image.width + j) * 3 + c];
    std::vector<uint8_t> result(height * width * 3);
    for (size_t y = 0; y < height; ++y)
        for (size_t x = 0; x < 3 * width; ++x) {
            double sum = 0;
            for (const auto& [j, share] : down[y]) sum += share * rows[j * width * 3 + x];
            result[y * width * 3 + x] = uint8_t(std::lrint(sum));
        }
    return result;
}

int main(int count, char** given) try {
    if (count != 3) throw std::runtime_error("usage: score detector.onnx part.ppm");
    ov::Core core;
    // Without this it computes in bfloat16 where the processor can, which moves scores too far.
    auto model = core.compile_model(given[1], "CPU", ov::hint::execution_mode(ov::hint::ExecutionMode::ACCURACY));
    const auto shape = model.input().get_partial_shape();
    const size_t height = shape[1].get_length(), width = shape[2].get_length();
    auto pixels = shrink(read(given[2]), height, width);
    auto request = model.create_infer_request();
    request.set_input_tensor(ov::Tensor(ov::element::u8, {1, height, width, 3}, pixels.data()));
    request.infer();
    std::cout << request.get_tensor("score").data<float>()[0] << ' '
              << (request.get_tensor("defective").data<int32_t>()[0] ? "defective" : "good") << ' '
              << request.get_tensor("confidence").data<float>()[0] << '\n';
    return 0;
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 2;
}
