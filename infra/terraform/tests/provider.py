"""Providers that know names and types only, so that Terraform can validate, plan and test without a network.

Run by Terraform under the name terraform-provider-aws, -random or -tls, beside `base.py` and `schema.json` (a stand-in
for the AWS provider, whose schema lists resource types); tests/offline puts them there. Adds what the stand-in lacks:
data sources of any type, write-only arguments, ephemeral resources, and the two small providers.
"""

import json
import os
import sys

import grpc
import msgpack
import tf.provider
from tf import runner
from tf.gen import tfplugin_pb2 as pb
from tf.gen import tfplugin_pb2_grpc as rpc

HERE = os.path.dirname(os.path.abspath(__file__))
NAME = os.path.basename(sys.argv[0]).removeprefix("terraform-provider-")
UNKNOWN = msgpack.ExtType(0, b"\x00")


def simple(kind, **more):
    return {"t": "simple", "st": kind, **more}


ASKED, MADE = {"required": True}, {"ro": True, "computed": True}
SMALL = {
    "random": {
        "random_password": {
            "attrs": {
                "length": simple("number", **ASKED),
                "special": simple("boolean"),
                "keepers": {"t": "map", "st": "stringMap"},
                "result": simple("string", **MADE),
            },
            "blocks": {},
        }
    },
    "tls": {},
}


def block(nest, attributes=(), blocks=None):
    return {"nest": nest, "attrs": {name: simple(kind) for name, kind in dict(attributes).items()}, "blocks": blocks or {}}


VISIBILITY = block(
    "list",
    {"cloudwatch_metrics_enabled": "boolean", "metric_name": "string", "sampled_requests_enabled": "boolean"},
)
# The part of the firewall's schema that is used here: the whole of it takes the extractor a quarter of an hour.
FIREWALL = {
    "attrs": {
        **{name: simple("string", **ASKED) for name in ("name", "scope")},
        **{name: simple("string") for name in ("description", "region")},
        "arn": simple("string", **MADE),
    },
    "blocks": {
        "default_action": block("list", blocks={"allow": block("list")}),
        "visibility_config": VISIBILITY,
        "rule": block(
            "list",
            {"name": "string", "priority": "number"},
            {
                "action": block("list", blocks={"block": block("list")}),
                "statement": block(
                    "list",
                    blocks={"rate_based_statement": block("list", {"limit": "number", "aggregate_key_type": "string"})},
                ),
                "visibility_config": VISIBILITY,
            },
        ),
    },
}
# Type, arguments, and what opening it gives.
EPHEMERAL = {
    "random": {
        "random_password": (["length", "special"], {"result": "made-by-the-stand-in"}),
    },
    "tls": {
        "tls_private_key": (
            ["algorithm", "rsa_bits"],
            {"private_key_pem_pkcs8": "PRIVATE", "public_key_pem": "PUBLIC"},
        ),
    },
    "aws": {},
}
ARGUMENT_TYPES = {"length": "number", "rsa_bits": "number", "special": "bool", "algorithm": "string"}

# The protocol's generated code knows neither of these: they are appended as fields that it passes on.
WRITE_ONLY = b"\x58\x01"  # Schema.Attribute.write_only = true
EPHEMERAL_SCHEMAS = 8  # GetProviderSchema.Response.ephemeral_resource_schemas


def field(number, content):
    length, head = len(content), bytearray([number << 3 | 2])
    while length > 0x7F:
        head.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes(head) + bytes([length]) + content


def is_write_only(name):
    return name.endswith("_wo") and not name.startswith("has_")


def fields(message):
    """The length-delimited fields of a protobuf message, which is all that the two requests have."""
    at, found = 0, {}
    while at < len(message):
        number, kind, at = message[at] >> 3, message[at] & 7, at + 1
        length = shift = 0
        while True:
            byte, at = message[at], at + 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        if kind == 2:
            found[number], at = message[at : at + length], at + length
    return found


def load_stand_in():
    """The classes of base.py, without its last line's effect: it runs itself."""
    run, runner.run_provider = runner.run_provider, lambda *_: None
    names = {"__file__": os.path.join(HERE, "base.py")}
    with open(names["__file__"], encoding="utf-8") as source:
        exec(compile(source.read(), names["__file__"], "exec"), names)
    runner.run_provider = run
    return names


def is_dynamic(block):
    """Whether some type is not known: Terraform takes no such thing in a set."""
    return any(BASE["ty"](it) == "dynamic" for it in block["attrs"].values()) or any(
        is_dynamic(it) for it in block["blocks"].values()
    )


def without_dynamic_sets(block):
    for it in block["blocks"].values():
        without_dynamic_sets(it)
        if it["nest"] == "set" and is_dynamic(it):
            it["nest"] = "list"


BASE = load_stand_in()
BASE["S"]["aws_wafv2_web_acl"] = FIREWALL
for schema in BASE["S"].values():
    without_dynamic_sets(schema)
if NAME != "aws":
    BASE["S"].clear()
    BASE["S"].update(SMALL[NAME])


def data_sources():
    with open(os.path.join(HERE, "data.json"), encoding="utf-8") as file:
        return json.load(file)


class Servicer(BASE["Servicer"]):
    def GetProviderSchema(self, request, context):
        out = super().GetProviderSchema(request, context)
        if NAME != "aws":
            out.provider.CopyFrom(pb.Schema(version=0, block=pb.Schema.Block()))
        for schemas in (out.resource_schemas, out.data_source_schemas):
            schemas.pop("aws_caller_identity", None)
        for name, it in data_sources().items() if NAME == "aws" else ():
            out.data_source_schemas[name].CopyFrom(pb.Schema(version=0, block=BASE["block"](it)))
        for schema in out.resource_schemas.values():
            for attribute in schema.block.attributes:
                if is_write_only(attribute.name):
                    attribute.computed = False
                    attribute.MergeFromString(WRITE_ONLY)
        for name, (arguments, results) in EPHEMERAL[NAME].items():
            kinds = {**{it: ARGUMENT_TYPES[it] for it in arguments}, **{it: "string" for it in results}}
            block = pb.Schema.Block(
                attributes=[
                    pb.Schema.Attribute(
                        name=it, type=json.dumps(kind).encode(), optional=it in arguments, computed=it in results
                    )
                    for it, kind in kinds.items()
                ]
            )
            schema = pb.Schema(version=0, block=block).SerializeToString()
            out.MergeFromString(field(EPHEMERAL_SCHEMAS, field(1, name.encode()) + field(2, schema)))
        return out

    def PlanResourceChange(self, request, context):
        out = super().PlanResourceChange(request, context)
        planned = msgpack.unpackb(out.planned_state.msgpack, strict_map_key=False)
        if planned:
            planned = {name: None if is_write_only(name) else value for name, value in planned.items()}
            out.planned_state.msgpack = msgpack.packb(planned)
        return out

    def ReadDataSource(self, request, context):
        state = msgpack.unpackb(request.config.msgpack, strict_map_key=False)
        for name, value in ANSWERS.get(request.type_name, {}).items():
            state[name] = value
        return pb.ReadDataSource.Response(state=pb.DynamicValue(msgpack=msgpack.packb(state)))


ANSWERS = {
    # The extractor does not know this one's type, so it goes with the value.
    "aws_availability_zones": {"names": [b'["list","string"]', ["eu-central-1a", "eu-central-1b", "eu-central-1c"]]},
    "aws_caller_identity": {"account_id": "123456789012"},
    "aws_partition": {"partition": "aws"},
}


def open_ephemeral(request, _context):
    request = fields(request)
    arguments, results = EPHEMERAL[NAME][request[1].decode()]
    state = msgpack.unpackb(fields(request[2])[1], strict_map_key=False)
    state.update(results)
    return field(3, field(1, msgpack.packb(state)))


def handler(answer):
    return grpc.unary_unary_rpc_method_handler(answer)


def add_to_server(servicer, server, add=rpc.add_ProviderServicer_to_server):
    add(servicer, server)
    methods = {
        "ValidateEphemeralResourceConfig": handler(lambda *_: b""),
        "OpenEphemeralResource": handler(open_ephemeral),
        "RenewEphemeralResource": handler(lambda *_: b""),
        "CloseEphemeralResource": handler(lambda *_: b""),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("tfplugin6.Provider", methods),))


class Provider:
    def full_name(self):
        return f"registry.terraform.io/hashicorp/{NAME}"


rpc.add_ProviderServicer_to_server = add_to_server
tf.provider.ProviderServicer = Servicer
runner.run_provider(Provider(), sys.argv)
