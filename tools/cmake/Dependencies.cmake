# Every library the project uses, looked up once. A missing one stops here with the
# package to install; tools/quickstart installs them all.
find_package(PkgConfig)
if(NOT PKG_CONFIG_FOUND)
  message(FATAL_ERROR "pkg-config is missing: apt-get install pkg-config (or run tools/quickstart)")
endif()

function(mt_need target module package)
  pkg_check_modules(${target} QUIET IMPORTED_TARGET GLOBAL ${module})
  if(NOT ${target}_FOUND)
    message(FATAL_ERROR "${module} not found: apt-get install ${package} (or run tools/quickstart)")
  endif()
  message(STATUS "${module} ${${target}_VERSION}")
endfunction()

#       target      pkg-config module  Debian package         used for
mt_need(OPENSLIDE   openslide          libopenslide-dev)      # slides of other vendors
mt_need(VIPS        vips               libvips-dev)           # heatmap pyramids, report pictures
mt_need(OPENBLAS    openblas           libopenblas-dev)       # dense GEMM
mt_need(TIFF        libtiff-4          libtiff-dev)           # TIFF writing
mt_need(JPEG        libjpeg            libjpeg-dev)           # JPEG tiles (libjpeg-turbo)
mt_need(OPENJPEG    libopenjp2         libopenjp2-7-dev)      # JPEG 2000 tiles
mt_need(DEFLATE     libdeflate         libdeflate-dev)        # deflate tiles, gzip
mt_need(PNG         libpng             libpng-dev)            # pictures
mt_need(CRYPTO      libcrypto          libssl-dev)            # digests
mt_need(PROTOBUFC   libprotobuf-c      libprotobuf-c-dev)     # ONNX files
mt_need(JANSSON     jansson            libjansson-dev)        # JSON

pkg_check_modules(HDF5 QUIET IMPORTED_TARGET GLOBAL hdf5-serial)   # Debian's name for the serial build
if(NOT HDF5_FOUND)
  mt_need(HDF5 hdf5 libhdf5-dev)
endif()
find_package(OpenMP COMPONENTS C)
if(NOT OpenMP_C_FOUND)
  message(FATAL_ERROR "OpenMP for ${CMAKE_C_COMPILER_ID} not found: apt-get install libomp-dev (clang) or gcc")
endif()
find_program(PROTOC_C NAMES protoc-c)
if(NOT PROTOC_C)
  message(FATAL_ERROR "protoc-c not found: apt-get install protobuf-c-compiler (or run tools/quickstart)")
endif()
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
if(MT_TESTS)
  mt_need(CMOCKA cmocka libcmocka-dev)
endif()
