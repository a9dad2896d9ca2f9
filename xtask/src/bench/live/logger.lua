-- What a plugin that logs bodies over TCP does inside a gateway, field by field as Kong's tcp-body-log
-- had it: bodies collected in the body filter, one JSON object a request, sent from a timer of
-- its own over pooled connections, the answer never read.
local cjson = require "cjson.safe"

local collector_port = COLLECTOR_PORT

local logger = {}

function logger.access()
  ngx.req.read_body()
  ngx.ctx.request_body = ngx.req.get_body_data()
end

function logger.body_filter()
  local chunks = ngx.ctx.chunks
  if not chunks then
    chunks = {}
    ngx.ctx.chunks = chunks
  end
  chunks[#chunks + 1] = ngx.arg[1]
end

local function record()
  local variables = ngx.var
  return {
    request = {
      url = variables.scheme .. "://" .. variables.host .. ":" .. variables.server_port .. variables.request_uri,
      method = ngx.req.get_method(),
      headers = ngx.req.get_headers(),
      body = ngx.ctx.request_body,
      timestamp = ngx.req.start_time(),
      form = {},
    },
    response = {
      status = ngx.status,
      headers = ngx.resp.get_headers(),
      size_bytes = variables.body_bytes_sent,
      body = table.concat(ngx.ctx.chunks or {}),
      timestamp = ngx.now(),
      response_time = tonumber(variables.request_time),
    },
  }
end

local function send(premature, message)
  if premature then return end
  local text = cjson.encode(message) .. "\r\n"
  local socket = ngx.socket.tcp()
  socket:settimeout(10000)
  local connected, failure = socket:connect("127.0.0.1", collector_port)
  if not connected then
    ngx.log(ngx.ERR, "connect: ", failure)
    return
  end
  local sent, reason = socket:send(text)
  if not sent then ngx.log(ngx.ERR, "send: ", reason) end
  socket:setkeepalive(60000)
end

function logger.log()
  local started, failure = ngx.timer.at(0, send, record())
  if not started then ngx.log(ngx.ERR, "timer: ", failure) end
end

return logger
