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
mt_need(ZSTD        libzstd            libzstd-dev)           # Zstandard tiles
mt_need(EXPAT       expat              libexpat1-dev)         # XML in slide files
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
  # CharLS, the judge of our JPEG-LS. Its pkg-config file came late and its header's folder has had two
  # spellings, so the header and the library themselves are looked for.
  find_path(CHARLS_INCLUDE charls/charls.h)
  find_library(CHARLS_LIBRARY NAMES charls CharLS)
  if(NOT CHARLS_INCLUDE OR NOT CHARLS_LIBRARY)
    message(FATAL_ERROR "CharLS not found: apt-get install libcharls-dev (or run tools/quickstart)")
  endif()
  add_library(mt_charls INTERFACE IMPORTED GLOBAL)
  set_target_properties(mt_charls PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${CHARLS_INCLUDE}"
    INTERFACE_LINK_LIBRARIES "${CHARLS_LIBRARY}")
  message(STATUS "charls ${CHARLS_LIBRARY}")
endif()
